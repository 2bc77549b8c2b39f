import type { ConfigBody } from './create-body.js'

/** A config as the Dockerfile instructions that make it. */
export function configChanges(config: ConfigBody | undefined): readonly string[] {
  if (!config) return []
  const list = (name: string, words: readonly string[] | undefined) =>
    words?.length ? [`${name} ${JSON.stringify(words)}`] : []
  return [
    ...list('CMD', config.Cmd),
    ...list('ENTRYPOINT', config.Entrypoint),
    ...(config.Env ?? []).filter((entry) => entry.includes('=')).map((entry) => `ENV ${pair(entry)}`),
    ...Object.keys(config.ExposedPorts ?? {}).map((port) => `EXPOSE ${port}`),
    ...Object.entries(config.Labels ?? {}).map(([key, value]) => `LABEL ${quote(key)}=${quote(value)}`),
    ...(config.OnBuild ?? []).map((instruction) => `ONBUILD ${instruction}`),
    ...(config.User ? [`USER ${config.User}`] : []),
    ...Object.keys(config.Volumes ?? {}).map((path) => `VOLUME ${JSON.stringify([path])}`),
    ...(config.WorkingDir ? [`WORKDIR ${config.WorkingDir}`] : []),
  ]
}

function pair(entry: string): string {
  const at = entry.indexOf('=')
  return `${entry.slice(0, at)}=${quote(entry.slice(at + 1))}`
}

const quote = (text: string): string => `"${text.replace(/["\\$]/g, '\\$&')}"`
