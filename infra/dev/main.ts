import { spawnSync } from 'node:child_process'
import { Fault } from '@berth/core'
import { controlPlaneCommand, databaseUrlOf } from './control-plane.exec.js'
import { down } from './down.exec.js'
import { labCommand } from './lab-commands.exec.js'
import type { LabLayout } from './layout.js'
import { logs } from './logs.exec.js'
import { parseLab, parseUp } from './options.js'
import { openLab } from './state.store.js'
import { status } from './status.exec.js'
import { repo, up } from './up.exec.js'

const [, , command = '', ...argv] = process.argv
const labName = process.env.BERTH_LAB ?? 'lab'

async function main(): Promise<void> {
  if (command === 'up') {
    const options = parseUp(argv)
    await up(openLab(labName, options.hosts), options)
    return
  }
  const lab = openLab(labName)
  if (command === 'down') await down(lab, { purge: argv.includes('--purge') })
  else if (command === 'status') process.exitCode = (await status(lab)) ? 0 : 1
  else if (command === 'logs') await logs(lab, argv)
  else if (command === 'lab') await labCommand(lab, parseLab(argv))
  else if (command === 'cli') await berth(lab, argv)
}

/** `npm run berth -- WORD`: doctor and agent are the agent's own; the rest are the control plane's commands. */
async function berth(lab: LabLayout, words: readonly string[]): Promise<void> {
  const [word, ...rest] = words
  if (word === 'doctor' || word === 'agent') {
    const own = word === 'agent' ? ['serve', ...rest] : words
    const main = `${repo}/apps/agent/dist/main.js`
    const { status: code } = spawnSync(process.execPath, [main, ...own], { stdio: 'inherit' })
    process.exitCode = code ?? 1
    return
  }
  const answer = await controlPlaneCommand(lab, repo, databaseUrlOf(lab), words)
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

main().catch((error: unknown) => {
  const fault = Fault.from(error)
  process.stderr.write(`berth: ${fault.message}\n`)
  if (fault.kind === 'internal' && process.env.BERTH_LOG_LEVEL === 'debug')
    process.stderr.write(`${fault.stack ?? ''}\n`)
  process.exitCode = 1
})
