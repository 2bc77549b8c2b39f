import { expect, test } from 'vitest'
import { applyConfig, configJson, EMPTY_CONFIG } from './apply-config.js'
import { type CopyRequest, planCopy } from './copy-plan.js'

const file = (path: string, mode = 0o644) =>
  ({ path, type: 'file', mode, linkTarget: '', hostPath: `/ctx/${path}`, sizeBytes: 1 }) as const
const directory = (path: string) =>
  ({ path, type: 'directory', mode: 0o750, linkTarget: '', hostPath: `/ctx/${path}`, sizeBytes: 0 }) as const

const plan = (selected: CopyRequest['selected'], target: string, rest: Partial<CopyRequest> = {}) =>
  planCopy({
    selected,
    target,
    workdir: '/',
    chown: undefined,
    chmod: undefined,
    isTargetDirectory: false,
    ...rest,
  })
const paths = (...args: Parameters<typeof plan>) => plan(...args).map((entry) => entry.path)
const one = [{ base: file('dir/a'), entries: [] }]
const two = [...one, { base: file('b'), entries: [] }]
const tree = [{ base: directory('src'), entries: [file('src/x'), directory('src/sub'), file('src/sub/y')] }]

test.each<[string, string[], string[]]>([
  ['a file gets the target’s name', paths(one, '/bin/tool'), ['bin/tool']],
  ['a final slash makes the target a directory', paths(one, '/bin/'), ['bin/a']],
  ['so does a directory that is there', paths(one, '/bin', { isTargetDirectory: true }), ['bin/a']],
  ['so do several sources', paths(two, '/bin'), ['bin/a', 'bin/b']],
  ['a dot is the working directory', paths(one, '.', { workdir: '/srv/app' }), ['srv/app/a']],
  ['a relative target is below the working directory', paths(one, 'x/', { workdir: '/srv' }), ['srv/x/a']],
  ['of a directory the content is copied', paths(tree, '/app'), ['app', 'app/sub', 'app/sub/y', 'app/x']],
  ['into the root as well', paths(tree, '/'), ['sub', 'sub/y', 'x']],
  ['a target never climbs out of the root', paths(one, '../../../x'), ['x']],
])('%s', (_name, found, expected) => expect(found).toEqual(expected))

test('owner and mode are root’s and the file’s unless the instruction says so; links keep theirs', () => {
  expect(plan(one, '/a')[0]).toMatchObject({ owner: { uid: 0, gid: 0 }, mode: 0o644 })
  expect(plan(one, '/a', { chown: { uid: 5, gid: 6 }, chmod: 0o700 })[0]).toMatchObject({
    owner: { uid: 5, gid: 6 },
    mode: 0o700,
  })
  const link = { ...file('l', 0o777), type: 'symlink', linkTarget: 'a' } as const
  expect(plan([{ base: link, entries: [] }], '/l', { chmod: 0o600 })[0]).toMatchObject({
    mode: 0o777,
    linkTarget: 'a',
  })
})

test('equal inputs give equal plans, whatever the order of a directory', () => {
  const reversed = tree.map((selected) => ({ ...selected, entries: [...selected.entries].reverse() }))
  expect(plan(reversed, '/app')).toEqual(plan(tree, '/app'))
})

test('settings follow docker: a later value wins, an entrypoint drops the command, a workdir adds up', () => {
  const config = [
    {
      kind: 'env',
      pairs: [
        ['A', '1'],
        ['B', '1'],
      ],
    },
    { kind: 'env', pairs: [['A', '2']] },
    { kind: 'workdir', path: '/srv' },
    { kind: 'workdir', path: 'app' },
    { kind: 'cmd', argv: ['old'] },
    { kind: 'entrypoint', argv: ['run'] },
    { kind: 'expose', ports: ['80/tcp'] },
    { kind: 'expose', ports: ['80/tcp', '81/tcp'] },
  ] as const
  const result = config.reduce(applyConfig, EMPTY_CONFIG)
  expect(result).toMatchObject({ env: ['B=1', 'A=2'], workdir: '/srv/app', entrypoint: ['run'], cmd: [] })
  expect(result.exposedPorts).toEqual(['80/tcp', '81/tcp'])
  const json = () => configJson(result, 'amd64', [], ['COPY a b', 'ENV'], '1970-01-01T00:00:00Z')
  expect(json()).toBe(json())
  expect(JSON.parse(json()).history).toMatchObject([{ created_by: 'COPY a b' }, { empty_layer: true }])
})
