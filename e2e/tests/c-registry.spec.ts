import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogLine } from '@berth/domain'
import { expect, test } from '@playwright/test'
import { api, base, currentTasks, eventually, token } from '../support/lab.js'
import { debianMirror, must, packLayout } from '../support/oci-layout.js'

const registry = base.replace('http://', '')
const login = () => `lab:${token()}`

/** The digest of the one manifest in a layout. */
const digestIn = (layout: string): string =>
  (JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] })
    .manifests[0]?.digest ?? ''

test('a Debian minbase image goes in and out with skopeo under the same digest, and a service runs from it', async () => {
  test.setTimeout(400_000)
  const work = mkdtempSync(join(tmpdir(), 'berth-e2e-oci-'))
  try {
    await must('debootstrap', [
      '--variant=minbase',
      '--no-check-gpg',
      'bookworm',
      `${work}/rootfs`,
      await debianMirror(),
    ])
    const cmd = ['/bin/sh', '-c', 'echo "Debian $(cat /etc/debian_version)"; exec sleep 86400']
    await packLayout(`${work}/rootfs`, `${work}/in`, { Cmd: cmd, Env: ['PATH=/usr/bin:/bin'] })
    const target = `docker://${registry}/debian/minbase:bookworm`
    await must('skopeo', [
      'copy',
      '--dest-tls-verify=false',
      '--dest-creds',
      login(),
      `oci:${work}/in`,
      target,
    ])
    await must('skopeo', [
      'copy',
      '--src-tls-verify=false',
      '--src-creds',
      login(),
      target,
      `oci:${work}/out`,
    ])
    expect(digestIn(`${work}/out`)).toBe(digestIn(`${work}/in`))

    const spec = {
      name: 'minbase',
      replicas: 2,
      task: { image: 'berth.internal/debian/minbase:bookworm', stopTimeoutMs: 0 },
    }
    expect((await api('POST', '/services', spec)).status).toBe(201)
    await eventually(
      'minbase runs on both hosts',
      async () => {
        const tasks = await currentTasks('minbase')
        return tasks.length === 2 && tasks.every((task) => task.state === 'running')
      },
      90_000,
    )
    const lines = await eventually('its output', async () => {
      const { body } = await api<{ items: LogLine[] }>('GET', '/services/minbase/logs')
      return body.items.length >= 2 && body.items
    })
    expect(lines.every((line) => /^Debian 12/.test(line.text))).toBe(true)
    expect((await api('DELETE', '/services/minbase')).status).toBe(204)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
})

test('the registry wants a login, and a wrong one is refused', async () => {
  const anonymous = await fetch(`${base}/v2/demo/web/manifests/1`)
  expect(anonymous.status).toBe(401)
  expect(anonymous.headers.get('www-authenticate')).toContain('Basic')
  const wrong = await fetch(`${base}/v2/`, {
    headers: { authorization: `Basic ${Buffer.from('lab:berth_pat_wrong').toString('base64')}` },
  })
  expect(wrong.status).toBe(401)
})
