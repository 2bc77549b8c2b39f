import { Fault } from '@berth/core'
import { inRegistryWords } from '../images/registry-words.js'

/** What a Dockerfile has wrong is said as docker's parser does (the place stays in the text), and what a registry did as clients know it. */
export function inDockerWords(error: unknown): Fault {
  const failure = Fault.from(error)
  if (failure.code.startsWith('registry.')) return inRegistryWords(failure, '')
  if (failure.code !== 'build.syntax') return failure
  const { kind, code, message, params } = failure
  const line = params.line === undefined ? '' : ` line ${params.line}`
  const words = message.replace(/^Dockerfile:\d+:\d+: /, '')
  return new Fault({ kind, code, params, message: `dockerfile parse error${line}: ${words}` })
}
