export interface GitSource {
  readonly url: string
  /** Branch, tag or commit; absent: the remote's default branch. */
  readonly ref: string | undefined
  /** A directory of it; absent: all of it. */
  readonly subdir: string | undefined
}

const SCHEMES = /^(git:\/\/|ssh:\/\/|https?:\/\/[^?#]+\.git(?=$|[?#]))/i
const SCP = /^[a-zA-Z0-9._-]+@[a-zA-Z0-9.-]+:(?!\/\/)[^\s#]+/

/** `https://host/repo.git#ref`, `git@host:repo#ref`, `git://…`, `ssh://…`; undefined for anything that is not a repository by its form. */
export function parseGitSource(text: string): GitSource | undefined {
  if (!SCHEMES.test(text) && !SCP.test(text)) return undefined
  const [url = '', fragment = ''] = splitOnce(text, '#')
  const [ref, subdir] = splitOnce(fragment, ':')
  return { url, ref: ref || undefined, subdir: subdir || undefined }
}

function splitOnce(text: string, at: string): readonly [string, string] {
  const index = text.indexOf(at)
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + at.length)]
}

/** Why git may not be given this: it would read it as an option (CVE-2019-13139), or the directory is none of the repository's. */
export function gitSourceRefusal({ url, ref, subdir }: GitSource): string | undefined {
  if (url.startsWith('-')) return `the repository ${JSON.stringify(url)} begins with -`
  if (ref?.startsWith('-')) return `the ref ${JSON.stringify(ref)} begins with -`
  if (subdir?.split('/').includes('..'))
    return `the directory ${JSON.stringify(subdir)} leads out of the repository`
  return undefined
}
