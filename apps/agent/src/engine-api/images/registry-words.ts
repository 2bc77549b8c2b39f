import { Fault } from '@berth/core'
import { familiarName } from '@berth/engine-api'

const REFUSED = /ECONNREFUSED/

/**
 * What a registry did, in the words docker's clients look for. A refused login is no 401 of ours: the CLI would ask for a password and try again.
 */
export function inRegistryWords(error: unknown, reference: string): Fault {
  const failure = Fault.from(error)
  const { code, message, params } = failure
  const say = (kind: Fault['kind'], text: string) =>
    new Fault({ kind, code, message: text, params, cause: failure })
  switch (code) {
    case 'image.not_found':
      return say(
        'not_found',
        `manifest for ${familiarName(reference)} not found: manifest unknown: ${message}`,
      )
    case 'registry.unauthorized':
      return say('internal', `unauthorized: ${message}`)
    case 'registry.unreachable':
      return say('internal', REFUSED.test(message) ? `${message}: connect: connection refused` : message)
    default:
      return failure
  }
}
