import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { describeTree } from '../../testing/describe-tree.js'
import { openTestRuntime } from '../../testing/index.js'

const MIB = 1024 * 1024

/** A file system of its own in a file, unmounted when the test is over. */
function mountedFileSystem(type: 'xfs' | 'btrfs' | 'ext4', sizeMib: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'bt-fs-'))
  const [file, place] = [`${dir}/image`, `${dir}/mnt`]
  writeFileSync(file, '')
  truncateSync(file, sizeMib * MIB)
  execFileSync(`mkfs.${type}`, [type === 'ext4' ? '-F' : '-f', '-q', file])
  mkdirSync(place)
  execFileSync('mount', ['-o', 'loop', file, place])
  onTestFinished(() => {
    execFileSync('umount', ['-l', place])
    rmSync(dir, { recursive: true, force: true })
  })
  return place
}

async function runtimeOn(place: string) {
  const host = await openTestRuntime({ root: `${place}/root` })
  onTestFinished(() => host.dispose())
  return host.runtime
}

const freeBytes = (place: string) => {
  execFileSync('sync', ['-f', place])
  const { bavail, bsize } = statfsSync(place)
  return bavail * bsize
}

test.each(['xfs', 'btrfs'] as const)('on %s a clone shares its blocks, and costs no room', async (type) => {
  const place = mountedFileSystem(type, 400)
  const { volumes } = await runtimeOn(place)
  const { mountpoint } = await volumes.create({ name: 'data' })
  for (let index = 0; index < 4; index++)
    writeFileSync(`${mountpoint}/f${index}`, Buffer.alloc(20 * MIB, `${index}`), { flush: true })
  const before = freeBytes(place)
  const clone = await volumes.clone('data', 'copy')
  expect(before - freeBytes(place)).toBeLessThan(30 * MIB)
  expect(describeTree(clone.mountpoint)).toEqual(describeTree(mountpoint))
})

test('F17: a clone or an import that does not fit on the disk is told, and leaves nothing', async () => {
  const place = mountedFileSystem('ext4', 100)
  const { volumes } = await runtimeOn(place)
  const { mountpoint } = await volumes.create({ name: 'data' })
  writeFileSync(`${mountpoint}/big`, Buffer.alloc(30 * MIB, 'x'), { flush: true })
  const exported = await volumes.export('data')
  writeFileSync(`${mountpoint}/more`, Buffer.alloc(15 * MIB, 'x'), { flush: true })
  const full = { code: 'host.disk_full' }
  await expect(volumes.clone('data', 'copy')).rejects.toMatchObject(full)
  await expect(volumes.import('back', exported)).rejects.toMatchObject(full)
  await volumes.abandonImport('back')
  await volumes.endExport(exported.id)
  expect((await volumes.list()).map(({ name }) => name)).toEqual(['data'])
  rmSync(`${mountpoint}/more`)
  const copy = await volumes.clone('data', 'copy')
  expect(statSync(`${copy.mountpoint}/big`).size).toBe(30 * MIB)
})
