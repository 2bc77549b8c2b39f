import type { ContainerSpec } from '@berth/runtime'
import type { ConfigBody } from './create-body.js'
import { sentBody } from './sent-body.js'

/** What a container was told beyond its image, which docker's commit takes over into the new one. */
export function specChanges(spec: ContainerSpec): readonly string[] {
  const { ExposedPorts, Volumes } = sentBody(spec).config as {
    ExposedPorts?: object | null
    Volumes?: object | null
  }
  const program = (name: string, words: readonly string[] | undefined) =>
    words ? [`${name} ${JSON.stringify(words)}`] : []
  return [
    ...program('ENTRYPOINT', spec.entrypoint),
    ...program('CMD', spec.command),
    ...configChanges({
      Env: spec.env === undefined ? undefined : [...spec.env],
      Labels: spec.labels,
      User: spec.user,
      WorkingDir: spec.workdir,
      ExposedPorts: { ...ExposedPorts },
      Volumes: { ...Volumes },
    }),
  ]
}

/** A config as the Dockerfile instructions that make it. */
export function configChanges(config: Partial<ConfigBody> | undefined): readonly string[] {
  if (!config) return []
  const list = (name: string, words: readonly string[] | undefined) =>
    words?.length ? [`${name} ${JSON.stringify(words)}`] : []
  return [
    ...list('ENTRYPOINT', config.Entrypoint),
    ...list('CMD', config.Cmd),
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
