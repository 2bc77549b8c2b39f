import type { Problem, Service } from '@berth/domain'
import { expect, test } from '@playwright/test'
import { api, base, currentTasks, eventually } from '../support/lab.js'
import { signIn } from '../support/sign-in.js'

const spec = (task: object, more: object = {}) => ({ name: 'bad', task, ...more })
const good = { image: 'berth.internal/demo/web:1' }
const nothing = `sha256:${'0'.repeat(64)}`

const CASES: readonly (readonly [string, object, number, string, RegExp])[] = [
  [
    'an unknown image',
    spec({ image: 'berth.internal/no/such:1' }),
    404,
    'image.not_found',
    /berth\.internal\/no\/such:1/,
  ],
  [
    'a wrong digest',
    spec({ image: `berth.internal/demo/web@${nothing}` }),
    404,
    'image.not_found',
    /sha256:0000/,
  ],
  ['an image name that is none', spec({ image: 'UPPER CASE' }), 400, 'image.reference_invalid', /UPPER CASE/],
  [
    'a registry that is down',
    spec({ image: '127.0.0.1:9/web:1' }),
    503,
    'registry.unreachable',
    /127\.0\.0\.1:9/,
  ],
  [
    'a port already taken',
    spec(good, { ports: [{ targetPort: 8080, publishedPort: 8080 }] }),
    409,
    'port.taken',
    /8080.*web/,
  ],
  ['an unknown key', spec(good, { replica: 2 }), 400, 'spec.invalid', /"replica"/],
  ['a name with ../', { ...spec(good), name: '../etc' }, 400, 'spec.invalid', /^name:/],
]

for (const [what, body, status, code, sentence] of CASES) {
  test(`${what} is one sentence with a code, and nothing half-made stays`, async () => {
    const answer = await api<Problem>('POST', '/services', body)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(answer.body.detail).toMatch(sentence)
    const { body: list } = await api<{ items: Service[] }>('GET', '/services')
    expect(list.items.map((item) => item.name)).toEqual(['web'])
  })
}

test('a path that climbs is refused by name and never reaches a file', async () => {
  const { status, body } = await api<Problem>('GET', `/services/${encodeURIComponent('../etc')}`)
  expect([status, body.code]).toEqual([400, 'request.invalid'])
})

test('the dashboard says the same in English and in Chinese, and keeps what was typed', async ({
  browser,
}) => {
  for (const [locale, expected] of [
    ['en-US', 'Image berth.internal/no/such:1 does not exist'],
    ['zh-CN', '镜像 berth.internal/no/such:1 不存在'],
  ] as const) {
    const context = await browser.newContext({ locale })
    const page = await context.newPage()
    await signIn(page)
    await page.goto(`${base}/services`)
    await page.getByRole('button', { name: /Create service|创建服务/ }).click()
    await page.getByLabel(/^(Name|名称)$/).fill('bad')
    await page.getByLabel(/^(Image|镜像)$/).fill('berth.internal/no/such:1')
    await page.getByRole('button', { name: /^(Create|创建)$/ }).click()
    await expect(page.getByTestId('problem')).toContainText(expected)
    await expect(page.getByTestId('problem')).toHaveAttribute('data-code', 'image.not_found')
    await expect(page.getByLabel(/^(Name|名称)$/)).toHaveValue('bad')
    await context.close()
  }
})

test('an image whose process ends at once is shown as failed with its exit code, and the service can be deleted', async () => {
  const body = {
    name: 'crash',
    task: { ...good, entrypoint: ['/bin/busybox', 'sh', '-c', 'echo giving up; exit 7'] },
    restart: { delayMs: 60_000 },
  }
  expect((await api('POST', '/services', body)).status).toBe(201)
  await eventually('a failed task with exit code 7', async () => {
    const { body: tasks } = await api<{ items: { state: string; exitCode: number | null }[] }>(
      'GET',
      '/services/crash/tasks',
    )
    return tasks.items.some((task) => task.state === 'failed' && task.exitCode === 7)
  })
  expect((await api('DELETE', '/services/crash')).status).toBe(204)
  await eventually('it is gone', async () => (await api('GET', '/services/crash')).status === 404)
  await eventually('no task of it is left', async () => (await currentTasks('crash')).length === 0)
})
