import { expect, test } from 'vitest'
import { TransferGate } from './transfer-gate.js'

test('transfers run side by side, a removal alone, and nobody is overtaken for ever', async () => {
  const gate = new TransferGate()
  const log: string[] = []
  const held = Promise.withResolvers<void>()
  const transfer = (name: string, until: Promise<void>) =>
    gate.shared(async () => {
      log.push(`${name} begins`)
      await until
      log.push(`${name} ends`)
    })
  const first = transfer('a', held.promise)
  const second = transfer('b', held.promise)
  const removal = gate.exclusive(async () => void log.push('removal'))
  const third = transfer('c', Promise.resolve())
  held.resolve()
  await Promise.all([first, second, removal, third])
  expect(log).toEqual(['a begins', 'b begins', 'a ends', 'b ends', 'removal', 'c begins', 'c ends'])
})

test('what fails lets the next one in', async () => {
  const gate = new TransferGate()
  await expect(gate.shared(() => Promise.reject(new Error('x')))).rejects.toThrow('x')
  await expect(gate.exclusive(() => Promise.reject(new Error('y')))).rejects.toThrow('y')
  expect(await gate.exclusive(async () => 'in')).toBe('in')
  expect(await gate.shared(async () => 'in')).toBe('in')
})
