import { expect, test } from '@playwright/test'
import { base, currentTasks, eventually, runningOn, scale } from '../support/lab.js'
import { signIn } from '../support/sign-in.js'

test('a scale by API from 4 to 20 shows every step in the dashboard without reload', async ({ page }) => {
  await signIn(page)
  await page.goto(`${base}/services/web`)
  await expect(page.getByTestId('service-running')).toHaveText('4/4')
  await expect(page.getByTestId('live-chip')).toHaveAttribute('data-state', 'live')
  const seen = new Set<string>()
  await page.exposeFunction('berthSaw', (text: string) => seen.add(text))
  await page.evaluate(() => {
    const report = () =>
      (window as unknown as { berthSaw(text: string): void }).berthSaw(
        document.querySelector('[data-testid=service-running]')?.textContent ?? '',
      )
    new MutationObserver(report).observe(document.body, {
      subtree: true,
      childList: true,
      characterData: true,
    })
    ;(window as unknown as { notReloaded: boolean }).notReloaded = true
  })
  const from = Date.now()
  expect((await scale(20)).status).toBe(200)
  await eventually('20 running, 10 on each host', async () => {
    const tasks = await currentTasks()
    return runningOn(tasks, 'server-a').length === 10 && runningOn(tasks, 'server-b').length === 10
  })
  console.log(`4 to 20 took ${Date.now() - from} ms`)
  await expect(page.getByTestId('service-running')).toHaveText('20/20')
  await expect(page.locator('[data-testid=task-block][data-state=running]')).toHaveCount(20)
  await expect(page.locator('[data-testid=task-row][data-node=server-b]')).toHaveCount(10)
  expect(
    [...seen].some((text) => /^([4-9]|1\d)\/20$/.test(text)),
    [...seen].join(' '),
  ).toBe(true)
  expect(await page.evaluate(() => (window as unknown as { notReloaded?: boolean }).notReloaded)).toBe(true)
})

test('a scale in the dashboard reaches both hosts', async ({ page }) => {
  await signIn(page)
  await page.goto(`${base}/services/web`)
  await page.getByTestId('scale-input').fill('6')
  await page.getByTestId('scale-apply').click()
  await expect(page.getByTestId('service-running')).toHaveText('6/6')
  const tasks = await currentTasks()
  expect(runningOn(tasks, 'server-a')).toHaveLength(3)
  expect(runningOn(tasks, 'server-b')).toHaveLength(3)
})
