import type { Problem, Service } from '@berth/domain'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aServing, pushTinyImage, type ServingFixture } from '../testing/serving.js'

let control: ServingFixture
let digest = ''
beforeAll(async () => {
  control = await aServing()
  digest = await pushTinyImage(control, 'demo/web', '1')
})
afterAll(() => control.dispose())

const spec = (name: string, more: object = {}) => ({
  name,
  replicas: 2,
  task: { image: 'berth.internal/demo/web:1' },
  ...more,
})
const problem = async (answer: Response): Promise<Problem> => {
  expect(answer.headers.get('content-type')).toContain('application/problem+json')
  return (await answer.json()) as Problem
}

describe('signing in', () => {
  const login = (password: string, name = 'admin') => control.call('POST', '/session', { name, password }, {})

  test('a one-time password works once, and a wrong name reads like a wrong password', async () => {
    const { name, password } = await control.command<{ name: string; password: string }>('admin-login')
    expect((await login(password, name)).status).toBe(200)
    const [again, stranger] = [
      await problem(await login(password)),
      await problem(await login('x', 'nobody')),
    ]
    expect([again.status, again.code, again.detail]).toEqual([401, 'auth.failed', stranger.detail])
  })

  test('the cookie is unreadable for scripts, and changes things only from our own pages', async () => {
    const { password } = await control.command<{ password: string }>('admin-login')
    const setCookie = (await login(password)).headers.get('set-cookie') ?? ''
    expect(setCookie).toMatch(/^sid=.*; Path=\/; HttpOnly; SameSite=Strict/)
    const cookie = setCookie.split(';')[0] ?? ''
    expect((await control.call('GET', '/session', undefined, { cookie })).status).toBe(200)
    expect((await problem(await control.call('POST', '/ws-tickets', {}, { cookie }))).code).toBe('auth.csrf')
    const own = { cookie, 'x-berth-request': '1' }
    expect((await control.call('POST', '/ws-tickets', {}, own)).status).toBe(201)
    const foreign = { ...own, 'sec-fetch-site': 'cross-site' }
    expect((await problem(await control.call('POST', '/ws-tickets', {}, foreign))).code).toBe('auth.csrf')
    expect((await control.call('DELETE', '/session', undefined, own)).status).toBe(204)
    expect((await control.call('GET', '/session', undefined, { cookie })).status).toBe(401)
  })

  test('a name that is tried too often must wait, and is told how long', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => login('wrong', 'guess')))
    const limited = answers.filter((answer) => answer.status === 429)
    expect(limited.length).toBeGreaterThan(0)
    expect(Number(limited[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  test.each(['/services', '/nodes', '/tokens', '/overview', '/tasks'])(
    '%s answers nobody without a session or token',
    async (path) => {
      expect((await problem(await control.call('GET', path, undefined, {}))).code).toBe('auth.required')
      const forged = { authorization: 'Bearer berth_pat_forged' }
      expect((await control.call('GET', path, undefined, forged)).status).toBe(401)
    },
  )
})

describe('services', () => {
  test('are created with their image pinned, read with an ETag, and changed only by who saw the newest', async () => {
    const created = await control.call('POST', '/services', spec('pinned'))
    expect(created.status).toBe(201)
    expect(((await created.json()) as Service).resolvedImage).toBe(`berth.internal/demo/web@${digest}`)
    const etag = (await control.call('GET', '/services/pinned')).headers.get('etag') ?? ''
    expect(etag).toBe('"spec-1"')
    const put = (ifMatch?: string) =>
      control.call('PUT', '/services/pinned', spec('pinned', { replicas: 3 }), {
        authorization: `Bearer ${control.token}`,
        ...(ifMatch ? { 'if-match': ifMatch } : {}),
      })
    expect((await problem(await put())).status).toBe(428)
    expect((await put(etag)).headers.get('etag')).toBe('"spec-2"')
    expect(await problem(await put(etag))).toMatchObject({ status: 412, code: 'precondition.failed' })
    expect((await put('*')).status).toBe(200)
  })

  test('scale changes the count alone and makes no release', async () => {
    await control.call('POST', '/services', spec('scaled'))
    const service = (await (
      await control.call('POST', '/services/scaled/scale', { replicas: 7 })
    ).json()) as Service
    expect([service.spec.replicas, service.releaseNumber, service.specVersion]).toEqual([7, 1, 2])
  })

  test('are deleted, and gone for the reader at once', async () => {
    await control.call('POST', '/services', spec('gone'))
    expect((await control.call('DELETE', '/services/gone')).status).toBe(204)
    expect((await problem(await control.call('GET', '/services/gone'))).code).toBe('service.not_found')
  })

  test('lists are read page by page', async () => {
    const names: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const path: string = `/services?limit=1${cursor ? `&cursor=${cursor}` : ''}`
      const page = (await (await control.call('GET', path)).json()) as {
        items: Service[]
        next: string | null
      }
      names.push(...page.items.map((item) => item.name))
      cursor = page.next
    }
    expect(names).toEqual(expect.arrayContaining(['pinned', 'scaled']))
    expect(new Set(names).size).toBe(names.length)
  })

  test('an unknown key is named with its place', async () => {
    const answer = await problem(await control.call('POST', '/services', spec('typo', { replica: 3 })))
    expect([answer.status, answer.code]).toEqual([400, 'spec.invalid'])
    expect(answer.errors?.[0]?.message).toContain('"replica"')
  })

  test('a body that is no JSON and an address that is none are problems too', async () => {
    const headers = { authorization: `Bearer ${control.token}`, 'content-type': 'application/json' }
    const url = `${control.serving.httpUrl}/api/v1/services`
    const broken = await problem(await fetch(url, { method: 'POST', headers, body: '{' }))
    expect([broken.status, broken.code]).toEqual([400, 'request.invalid'])
    expect((await problem(await control.call('GET', '/no/such/thing'))).code).toBe('request.unknown_route')
  })
})

test('the API describes itself, to anyone, with every route it has', async () => {
  const document = (await (await control.call('GET', '/openapi.json', undefined, {})).json()) as {
    openapi: string
    paths: Record<string, object>
  }
  expect(document.openapi).toMatch(/^3\./)
  for (const path of ['/services', '/services/{name}/scale', '/tasks/{id}/logs', '/nodes', '/deployments'])
    expect(Object.keys(document.paths)).toContain(`/api/v1${path}`)
})

test('every answer carries the security headers', async () => {
  const answers = [await control.call('GET', '/version', undefined, {}), await control.call('GET', '/nodes')]
  for (const { headers } of answers) {
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
})

test('a database that goes away makes calls fail with store.unavailable, and they work again when it is back', async () => {
  let isBack = false
  const restarting = control.database.restart('immediate').then(() => {
    isBack = true
  })
  const seen = new Set<number>()
  for (let answered = 0; !(isBack && answered === 200); ) {
    const answer = await control.call('GET', '/services')
    answered = answer.status
    seen.add(answered)
    if (answered !== 503) continue
    expect((await problem(answer)).code).toBe('store.unavailable')
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  }
  await restarting
  expect([...seen].every((status) => status === 200 || status === 503)).toBe(true)
  expect((await control.call('POST', '/services', spec('after'))).status).toBe(201)
})
