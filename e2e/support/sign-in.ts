import { expect, type Page } from '@playwright/test'
import { base, npm } from './lab.js'

/** Signs in as a person does, with a one-time password, in whatever language the page is. */
export async function signIn(page: Page): Promise<void> {
  const { stdout } = await npm('berth', 'admin-login')
  const { name, password } = JSON.parse(stdout) as { name: string; password: string }
  await page.goto(`${base}/login`)
  await page.getByLabel(/^(Name|用户名)$/).fill(name)
  await page.getByLabel(/^(Password|密码)$/).fill(password)
  await page.getByRole('button', { name: /^(Sign in|登录)$/ }).click()
  await expect(page).not.toHaveURL(/login/)
}
