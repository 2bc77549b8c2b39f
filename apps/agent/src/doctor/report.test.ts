import { describe, expect, test } from 'vitest'
import { type Check, type HostFacts, isFit, judge, renderReport } from './report.js'

const GOOD: HostFacts = {
  uid: 0,
  kernel: '6.18.44-generic',
  filesystems: ['nodev', 'overlay', 'ext4'],
  programs: new Set(['crun', 'conmon', 'nft', 'ip', 'nsenter', 'catatonit']),
  cgroup: 'v2',
  leftovers: [],
  nftWorks: true,
  bridgeWorks: true,
  crunVersion: '1.20',
}
const without = (...names: string[]) => new Set([...GOOD.programs].filter((name) => !names.includes(name)))
const findings = (facts: Partial<HostFacts>): readonly Check[] =>
  judge({ ...GOOD, ...facts }).filter(({ level }) => level !== 'ok')

test('a host that has everything is fit and is told nothing to do', () => {
  expect(findings({})).toEqual([])
  expect(judge(GOOD).every((check) => check.fix === undefined && check.commands === undefined)).toBe(true)
})

const ROWS: readonly (readonly [
  string,
  Partial<HostFacts>,
  id: string,
  level: Check['level'],
  fix: string,
])[] = [
  ['another user', { uid: 1_000 }, 'root', 'error', 'sudo'],
  ['kernel 4.19', { kernel: '4.19.0-26-amd64' }, 'kernel', 'error', 'kernel'],
  ['kernel 5.9', { kernel: '5.9.16' }, 'kernel', 'error', 'kernel'],
  ['no overlay', { filesystems: ['ext4'] }, 'overlay', 'error', 'modprobe overlay'],
  [
    'no crun',
    { programs: without('crun'), crunVersion: undefined },
    'programs',
    'error',
    'apt-get install crun',
  ],
  ['no conmon', { programs: without('conmon') }, 'programs', 'error', 'apt-get install conmon'],
  ['no nft', { programs: without('nft'), nftWorks: false }, 'programs', 'error', 'apt-get install nftables'],
  ['no ip', { programs: without('ip'), bridgeWorks: false }, 'programs', 'error', 'apt-get install iproute2'],
  ['no nsenter', { programs: without('nsenter') }, 'programs', 'error', 'apt-get install util-linux'],
  [
    'two programs missing',
    { programs: without('ip', 'conmon') },
    'programs',
    'error',
    'apt-get install conmon iproute2',
  ],
  ['crun 1.8.1', { crunVersion: '1.8.1' }, 'crun', 'warning', 'crun 1.15'],
  ['crun 0.20', { crunVersion: '0.20' }, 'crun', 'warning', 'crun 1.15'],
  ['no cgroups', { cgroup: 'none' }, 'cgroup', 'error', 'mount -t cgroup2'],
  [
    'controllers left on v2',
    { cgroup: 'hybrid', leftovers: ['hugetlb', 'misc'] },
    'cgroup',
    'error',
    'doctor --fix',
  ],
  ['nft without rights', { nftWorks: false }, 'nftables', 'error', 'nf_tables'],
  ['no bridges', { bridgeWorks: false }, 'bridge', 'error', 'modprobe bridge veth'],
  ['no catatonit', { programs: without('catatonit') }, 'init', 'warning', 'apt-get install catatonit'],
]

describe('each thing that is missing is one sentence with its fix', () => {
  test.each(ROWS)('%s', (_name, facts, id, level, fix) => {
    const found = findings(facts)
    expect(found).toMatchObject([{ id, level, fix: expect.stringContaining(fix) }])
    const [check] = found
    expect(check?.message).not.toMatch(/\n|\.$/)
    expect(isFit(judge({ ...GOOD, ...facts }))).toBe(level !== 'error')
    expect(renderReport(found).split('\n')).toEqual([
      `${level === 'error' ? 'FAIL' : 'warn'}  ${check?.message}`,
      `      fix: ${check?.fix}`,
    ])
  })
})

test.each(['5.10.0', '5.10', '6.1.0-18-amd64', '10.0'])('kernel %s is new enough', (kernel) => {
  expect(findings({ kernel })).toEqual([])
})

test.each(['1.15', '1.15.0', '1.21.1', '2.0'])('crun %s is new enough', (crunVersion) => {
  expect(findings({ crunVersion })).toEqual([])
})

test.each(['v1', 'v2', 'hybrid'] as const)('control groups %s with nothing left over are fine', (cgroup) => {
  expect(findings({ cgroup })).toEqual([])
})

test('left-over controllers are mounted one by one, each in its own directory', () => {
  const [check] = findings({ cgroup: 'hybrid', leftovers: ['hugetlb', 'misc'] })
  expect(check?.commands).toEqual([
    ['mkdir', '-p', '/sys/fs/cgroup/hugetlb'],
    ['mount', '-t', 'cgroup', '-o', 'hugetlb', 'cgroup', '/sys/fs/cgroup/hugetlb'],
    ['mkdir', '-p', '/sys/fs/cgroup/misc'],
    ['mount', '-t', 'cgroup', '-o', 'misc', 'cgroup', '/sys/fs/cgroup/misc'],
  ])
})

test('a host without anything is told everything, and each thing once', () => {
  const checks = judge({
    uid: 1_000,
    kernel: '4.4',
    filesystems: [],
    programs: new Set(),
    cgroup: 'none',
    leftovers: [],
    nftWorks: false,
    bridgeWorks: false,
    crunVersion: undefined,
  })
  expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length)
  expect(checks.filter(({ level }) => level === 'error').map(({ id }) => id)).toEqual([
    'root',
    'kernel',
    'overlay',
    'programs',
    'cgroup',
  ])
})
