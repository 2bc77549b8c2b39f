import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { silentLogger, TestClock } from '@berth/core'
import { until } from '@berth/runtime/testing'
import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../config/env.js'
import { createAuthority, HOUR_MS, type TestAuthority } from '../testing/test-authority.js'
import { openTestControlPlane, type TestControlPlane } from '../testing/test-control-plane.js'
import { openTestMember, type TestMember } from '../testing/test-member.js'
import { join } from './join.client.js'

const SECRET = 's'.repeat(43)

let authority: TestAuthority
let plane: TestControlPlane
let member: TestMember

beforeEach(async () => {
  authority = await createAuthority()
  plane = await openTestControlPlane(authority)
  member = await openTestMember(authority, plane.endpoint)
})
afterEach(() => {
  plane.dispose()
  member.dispose()
})

describe('joining', () => {
  const config = (endpoint: string) =>
    readConfig(
      {
        BERTH_CONTROL_PLANE: endpoint,
        BERTH_ADVERTISE_ADDRESS: '127.0.0.1',
        BERTH_AGENT_LISTEN: '127.0.0.1:0',
        BERTH_JOIN_TOKEN_FILE: `${member.dir}/token`,
      },
      'server-new',
    )
  const writeToken = (caDigest: string) =>
    writeFileSync(`${member.dir}/token`, `berth-join-1.${caDigest}.${SECRET}\n`)

  test('a token gives an identity of the cluster whose key has not left the host', async () => {
    writeToken(authority.caDigest)
    const identity = await join(config(plane.endpoint), 'machine-1')
    expect(plane.enrolments).toEqual([
      { token: SECRET, hostname: 'server-new', machineId: 'machine-1', csrPem: expect.any(String) },
    ])
    expect(plane.enrolments[0]?.csrPem).not.toContain('PRIVATE')
    const certificate = new X509Certificate(identity.certificatePem)
    expect(certificate.verify(new X509Certificate(authority.caPem).publicKey)).toBe(true)
    expect(certificate.subject).toContain('CN=node-new')
  })

  test('a control plane of another cluster gets nothing, neither the secret nor a request', async () => {
    writeToken((await createAuthority()).caDigest)
    await expect(join(config(plane.endpoint), 'm')).rejects.toMatchObject({
      code: 'join.wrong_ca',
      retryable: false,
    })
    expect(plane.enrolments).toEqual([])
  })

  test('a refused token is told as the control plane told it, and is not tried again', async () => {
    writeToken(authority.caDigest)
    plane.refuseIdentity = { code: status.UNAUTHENTICATED, details: 'join.token_invalid: the token was used' }
    await expect(join(config(plane.endpoint), 'm')).rejects.toMatchObject({
      code: 'join.token_invalid',
      message: 'the token was used',
      retryable: false,
    })
  })

  test('no token file is told with the path it should have', async () => {
    await expect(join(config(plane.endpoint), 'm')).rejects.toMatchObject({
      code: 'join.token_missing',
      message: expect.stringContaining(`${member.dir}/token`),
    })
  })

  test('a control plane that is away, or is something else, is worth another try', async () => {
    writeToken(authority.caDigest)
    const other = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('220 mail\r\n'),
    )
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    const away = { code: 'control_plane.unreachable', retryable: true }
    await expect(join(config(`127.0.0.1:${port}`), 'm')).rejects.toMatchObject(away)
    await new Promise((resolve) => other.close(resolve))
    await expect(join(config(`127.0.0.1:${port}`), 'm')).rejects.toMatchObject(away)
  })
})

describe('renewing', () => {
  test('in time there is a new key and certificate: on disk, in use, and told to who listens', async () => {
    const before = member.identity.current
    const clock = new TestClock(Date.now())
    const stop = new AbortController()
    const told: string[] = []
    member.identity.addIdentityCertificateListener((update) => told.push(String(update?.certificate)))
    const running = member.identity.run(clock, silentLogger, stop.signal)
    await clock.advance(11 * HOUR_MS)
    expect(member.identity.current).toBe(before)
    await clock.advance(10 * HOUR_MS)
    await until('it was renewed', () => member.identity.current !== before)
    stop.abort()
    await running
    const { current } = member.identity
    expect(current.nodeId).toBe('node-1')
    expect(current.keyPem).not.toBe(before.keyPem)
    expect(new X509Certificate(current.certificatePem).subject).toContain('CN=node-1')
    expect(member.store.identity()).toEqual(current)
    expect(told).toEqual([before.certificatePem, current.certificatePem])
  })

  test('a control plane that is away costs nothing but another try', async () => {
    const before = member.identity.current
    plane.refuseIdentity = { code: status.UNAVAILABLE, details: 'store.unavailable: no database' }
    const clock = new TestClock(Date.now())
    const warned: unknown[] = []
    const logger = { ...silentLogger, warn: (fields: unknown) => void warned.push(fields) }
    const stop = new AbortController()
    const running = member.identity.run(clock, logger, stop.signal)
    await clock.advance(20 * HOUR_MS)
    await until('it failed', () => warned.length > 0)
    expect(member.identity.current).toBe(before)
    expect(member.store.identity()).toEqual(before)
    plane.refuseIdentity = undefined
    await until('it was renewed', async () => {
      await clock.advance(HOUR_MS)
      return member.identity.current !== before
    })
    stop.abort()
    await running
  })
})
