import { fault } from './fault.js'

/** Makes a switch exhaustive: a new member of the union fails to compile, and a stray value fails loudly. */
export function assertNever(value: never, what: string): never {
  throw fault.internal('internal.unreachable', `unhandled ${what}: ${JSON.stringify(value)}`)
}
