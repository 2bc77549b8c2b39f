const join = (dir: string, name: string): string => (dir === '/' ? `/${name}` : `${dir}/${name}`)

/**
 * docker's rules: a file goes into a target that ends with a slash, is a directory already, or has several sources; otherwise it gets the target's
 * name. Of a directory the content is copied. With kept parents everything goes below the target under its own path.
 */
export function copyTarget(
  target: string,
  source: { readonly isDirectory: boolean; readonly name: string },
  facts: { readonly isTargetDirectory: boolean; readonly count: number; readonly keepsParents: boolean },
): string {
  const isSlashed = target.endsWith('/') || target.endsWith('/.')
  const clean = `/${target
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`
  if (facts.keepsParents) return source.name === '' ? clean : join(clean, source.name)
  if (source.isDirectory) return clean
  return isSlashed || facts.isTargetDirectory || facts.count > 1 ? join(clean, source.name) : clean
}
