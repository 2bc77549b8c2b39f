import type { ServiceSpecInput } from '@berth/domain'

/** What the form holds: text, as people type it. */
export interface Draft {
  readonly name: string
  readonly image: string
  readonly replicas: string
  readonly ports: string
  readonly env: string
}

export const EMPTY_DRAFT: Draft = { name: '', image: '', replicas: '1', ports: '', env: '' }

/** A line that could not be understood; `line` counts from 1. */
export interface DraftMistake {
  readonly field: 'ports' | 'env'
  readonly line: number
  readonly text: string
}

const PORT = /^(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/

/** The spec a draft describes, or what is wrong with it. Limits and names are the API's to judge. */
export function specOfDraft(
  draft: Draft,
): { readonly spec: ServiceSpecInput } | { readonly mistake: DraftMistake } {
  const ports: NonNullable<ServiceSpecInput['ports']> = []
  for (const { line, text } of linesOf(draft.ports)) {
    const [, published, target, protocol] = PORT.exec(text) ?? []
    if (published === undefined || target === undefined) return { mistake: { field: 'ports', line, text } }
    ports.push({
      publishedPort: Number(published),
      targetPort: Number(target),
      ...(protocol === 'udp' ? { protocol: 'udp' as const } : {}),
    })
  }
  const env: Record<string, string> = {}
  for (const { line, text } of linesOf(draft.env)) {
    const equals = text.indexOf('=')
    if (equals < 1) return { mistake: { field: 'env', line, text } }
    env[text.slice(0, equals)] = text.slice(equals + 1)
  }
  return {
    spec: {
      name: draft.name.trim(),
      replicas: Number(draft.replicas),
      task: { image: draft.image.trim(), env },
      ports,
    },
  }
}

function linesOf(text: string): readonly { readonly line: number; readonly text: string }[] {
  return text
    .split('\n')
    .map((content, index) => ({ line: index + 1, text: content.trim() }))
    .filter(({ text: content }) => content !== '')
}
