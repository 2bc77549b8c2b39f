// buf breaking against the protocol as it was on the main branch before this change (against HEAD where there is no main branch, as in a
// detached checkout). The old files are taken out of git by hand: buf itself would want a whole clone.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = join(dirname(fileURLToPath(import.meta.url)), '..')
const git = (...args) =>
  execFileSync('git', args, { cwd: here, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()

/** The commit whose protocol must still be understood. */
function base() {
  const head = git('rev-parse', 'HEAD')
  for (const branch of ['origin/main', 'main']) {
    try {
      return git('merge-base', branch, head)
    } catch {
      // This clone has no such branch: try the next.
    }
  }
  return head
}

const dir = mkdtempSync(join(tmpdir(), 'berth-proto-'))
try {
  const archive = execFileSync('git', ['archive', base(), '.'], { cwd: here, maxBuffer: 1 << 26 })
  execFileSync('tar', ['-x', '-C', dir], { input: archive })
  process.exitCode =
    spawnSync('buf', ['breaking', '--against', dir], { cwd: here, stdio: 'inherit' }).status ?? 1
} finally {
  rmSync(dir, { recursive: true, force: true })
}
