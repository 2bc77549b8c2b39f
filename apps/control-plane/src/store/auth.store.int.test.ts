import { systemClock } from '@berth/core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { aDatabase, type StoreFixture } from '../testing/database.js'
import { AuthStore } from './auth.store.js'

let fixture: StoreFixture
let store: AuthStore
let admin: string
beforeAll(async () => {
  fixture = await aDatabase()
})
afterAll(() => fixture.dispose())
beforeEach(async () => {
  await fixture.database.query('TRUNCATE "user", one_time_login CASCADE')
  store = new AuthStore(fixture.database, systemClock)
  admin = await store.ensureAdmin()
})

const age = (table: string, column: string, interval: string) =>
  fixture.database.query(`UPDATE ${table} SET "${column}" = "${column}" - interval '${interval}'`)

test('there is one admin, however many processes make sure of it', async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, () => store.ensureAdmin()))
  expect(new Set(ids)).toEqual(new Set([admin]))
})

describe('a one-time password', () => {
  test('lets in exactly one of ten at once, and never again', async () => {
    const { name, password } = await store.createOneTimeLogin()
    const actors = await Promise.all(Array.from({ length: 10 }, () => store.checkPassword(name, password)))
    expect(actors.filter((actor) => actor !== undefined)).toEqual([
      { userId: admin, name: 'admin', via: 'session' },
    ])
    expect(await store.checkPassword(name, password)).toBeUndefined()
  })

  test('is worth nothing after a day, for another name, or when there is none', async () => {
    const { password } = await store.createOneTimeLogin()
    expect(await store.checkPassword('root', password)).toBeUndefined()
    expect(await store.checkPassword('admin', '')).toBeUndefined()
    await age('one_time_login', 'expiresAt', '24 hours')
    expect(await store.checkPassword('admin', password)).toBeUndefined()
  })

  test('leaves an older one and the real password alone', async () => {
    const one = await store.createOneTimeLogin()
    const two = await store.createOneTimeLogin()
    expect(await store.checkPassword('admin', two.password)).toBeDefined()
    expect(await store.checkPassword('admin', one.password)).toBeDefined()
  })
})

test('a password works until it is changed, and a change ends every other session', async () => {
  const [mine, other] = [await store.createSession(admin), await store.createSession(admin)]
  await store.setPassword(admin, 'correct horse', mine)
  expect(await store.checkPassword('admin', 'correct horse')).toMatchObject({ name: 'admin' })
  expect(await store.checkPassword('admin', 'Correct horse')).toBeUndefined()
  expect(await store.findSession(mine)).toBeDefined()
  expect(await store.findSession(other)).toBeUndefined()
  await store.setPassword(admin, 'battery staple', mine)
  expect(await store.checkPassword('admin', 'correct horse')).toBeUndefined()
})

describe('a session', () => {
  test('is somebody until it is ended', async () => {
    const secret = await store.createSession(admin)
    expect(await store.findSession(secret)).toEqual({ userId: admin, name: 'admin', via: 'session' })
    expect(await store.findSession(`${secret}x`)).toBeUndefined()
    await store.endSession(secret)
    expect(await store.findSession(secret)).toBeUndefined()
  })

  test('ends after an hour without use, and use prolongs it', async () => {
    const secret = await store.createSession(admin)
    await age('user_session', 'lastSeenAt', '59 minutes')
    expect(await store.findSession(secret)).toBeDefined()
    await age('user_session', 'lastSeenAt', '59 minutes')
    expect(await store.findSession(secret)).toBeDefined()
    await age('user_session', 'lastSeenAt', '60 minutes')
    expect(await store.findSession(secret)).toBeUndefined()
  })

  test('ends after twelve hours however much it is used', async () => {
    const secret = await store.createSession(admin)
    await age('user_session', 'expiresAt', '12 hours')
    expect(await store.findSession(secret)).toBeUndefined()
  })
})

describe('an API token', () => {
  test('is given once, names its bot, and leaves the moment of its last use', async () => {
    const made = await store.createToken(admin, 'ci', 90)
    expect(await store.findToken(made.token)).toEqual({ userId: admin, name: 'ci', via: 'token' })
    const [listed] = await store.listTokens(admin)
    expect(listed).toMatchObject({ id: made.id, name: 'ci', lastUsedAt: expect.any(String) })
    expect(JSON.stringify(listed)).not.toContain(made.token)
    expect(JSON.stringify(await fixture.database.query('SELECT * FROM api_token'))).not.toContain(made.token)
  })

  test('is worth nothing once deleted or expired, nor is a session’s secret one', async () => {
    const [gone, old] = [await store.createToken(admin, 'gone', 1), await store.createToken(admin, 'old', 1)]
    await store.deleteToken(admin, gone.id)
    await expect(store.deleteToken(admin, gone.id)).rejects.toMatchObject({ code: 'token.not_found' })
    await age('api_token', 'expiresAt', '1 day')
    for (const token of [gone.token, old.token, await store.createSession(admin), ''])
      expect(await store.findToken(token)).toBeUndefined()
  })

  test('of another user cannot be deleted', async () => {
    const { id } = await store.createToken(admin, 'ci', 1)
    await expect(store.deleteToken('somebody else', id)).rejects.toMatchObject({ code: 'token.not_found' })
    expect(await store.listTokens(admin)).toHaveLength(1)
  })
})
