import { expect, test } from 'vitest'
import { FAULT_KINDS, Fault, fault } from './fault.js'

test('every kind has exactly one constructor, and it makes a fault of that kind', () => {
  const made = Object.values(fault).map((make) => make('a.code', 'a message').kind)
  expect([...made].sort()).toEqual([...FAULT_KINDS].sort())
})

test('only unavailable, deadline_exceeded and conflict are retryable unless the fault says otherwise', () => {
  const retryable = FAULT_KINDS.filter((kind) => new Fault({ kind, code: 'x', message: 'x' }).retryable)
  expect(retryable.sort()).toEqual(['conflict', 'deadline_exceeded', 'unavailable'])
  expect(fault.conflict('x', 'x', { retryable: false }).retryable).toBe(false)
  expect(fault.notFound('x', 'x', { retryable: true }).retryable).toBe(true)
})

test('an internal fault never shows its message to a user, every other kind does', () => {
  for (const kind of FAULT_KINDS) {
    const shown = new Fault({ kind, code: 'x', message: 'password is hunter2' }).publicMessage
    expect(shown.includes('hunter2')).toBe(kind !== 'internal')
  }
  expect(fault.internal('x', 'secret', { publicMessage: 'said on purpose' }).publicMessage).toBe(
    'said on purpose',
  )
})

test('is() matches by code or by kind and never by text', () => {
  const one = fault.notFound('service.not_found', 'unavailable')
  expect(Fault.is(one)).toBe(true)
  expect(Fault.is(one, 'service.not_found')).toBe(true)
  expect(Fault.is(one, 'not_found')).toBe(true)
  expect(Fault.is(one, 'unavailable')).toBe(false)
  expect(Fault.is({ kind: 'not_found', code: 'service.not_found' })).toBe(false)
})

test('from() keeps a fault as it is, calls an abort cancelled and anything else internal with its cause', () => {
  const own = fault.conflict('a.b', 'c')
  expect(Fault.from(own)).toBe(own)
  const aborted = AbortSignal.abort().reason as unknown
  expect(Fault.from(aborted)).toMatchObject({ kind: 'cancelled', cause: aborted })
  const cause = new TypeError('boom')
  expect(Fault.from(cause, 'task.broke')).toMatchObject({ kind: 'internal', code: 'task.broke', cause })
  expect(Fault.from('text')).toMatchObject({
    kind: 'internal',
    code: 'internal.unexpected',
    message: 'text',
  })
})
