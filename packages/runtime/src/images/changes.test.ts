import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ImageConfig } from '../api.js'
import { applyChanges } from './changes.js'
import { parseConfig } from './config.js'

const EMPTY = parseConfig(Buffer.from('{}')).config
const apply = (changes: readonly string[], from: Partial<ImageConfig> = {}) =>
  applyChanges({ ...EMPTY, ...from }, changes)

test.each<[readonly string[], Partial<ImageConfig>, Partial<ImageConfig>?]>([
  [['CMD ["a", "b c"]'], { cmd: ['a', 'b c'] }],
  [['CMD echo $X'], { cmd: ['/bin/sh', '-c', 'echo $X'] }],
  [['CMD x'], { cmd: ['/bin/bash', '-ec', 'x'] }, { shell: ['/bin/bash', '-ec'] }],
  [['ENTRYPOINT ["e"]'], { entrypoint: ['e'], cmd: [] }, { cmd: ['old'] }],
  [['CMD ["new"]', 'ENTRYPOINT ["e"]'], { entrypoint: ['e'], cmd: ['new'] }, { cmd: ['old'] }],
  [['ENV A=1 B="two words"', 'ENV C three words'], { env: ['A=1', 'B=two words', 'C=three words'] }],
  [['ENV B=2', 'ENV P=$A/x'], { env: ['A=1', 'B=2', 'P=1/x'] }, { env: ['A=1', 'B=old'] }],
  [
    ['EXPOSE 80 53/udp 8000-8002'],
    { exposedPorts: ['80/tcp', '53/udp', '8000/tcp', '8001/tcp', '8002/tcp'] },
  ],
  [['LABEL a=b "c d"=\'e f\''], { labels: { a: 'b', 'c d': 'e f' } }],
  [['LABEL berth.task=x'], { labels: {} }],
  [['USER me:us', 'STOPSIGNAL SIGINT'], { user: 'me:us', stopSignal: 'SIGINT' }],
  [['VOLUME /a /b', 'VOLUME ["/c d"]'], { volumes: ['/a', '/b', '/c d'] }],
  [['WORKDIR /a', 'WORKDIR b'], { workdir: '/a/b' }],
  [['ONBUILD RUN x'], { onBuild: ['RUN x'] }],
  [['HEALTHCHECK NONE'], { health: 'none' }],
  [
    ['HEALTHCHECK --interval=1m30s --retries=2 CMD curl localhost'],
    { health: { test: { shell: 'curl localhost' }, intervalMs: 90_000, retries: 2 } },
  ],
  [['HEALTHCHECK --timeout=500ms CMD ["a"]'], { health: { test: { exec: ['a'] }, timeoutMs: 500 } }],
])('%j', (changes, expected, from) => expect(apply(changes, from)).toMatchObject(expected))

test.each([
  'RUN x',
  'FROM a',
  'EXPOSE 0',
  'EXPOSE x',
  'ENV novalue',
  'LABEL a',
  'HEALTHCHECK',
  'HEALTHCHECK CMD',
  'ONBUILD FROM x',
  'USER',
  '=',
  'HEALTHCHECK --interval=x CMD a',
])('%s is refused', (change) =>
  expect(() => apply([change])).toThrow(expect.objectContaining({ code: 'image.change_invalid' })),
)

test('no text at all does anything but change or be refused', () => {
  const words = fc.constantFrom(
    'ENV ',
    'CMD ',
    'LABEL ',
    'HEALTHCHECK ',
    '--interval=',
    '1s',
    '["',
    '"]',
    '$A',
    '=',
    '\\',
    '\n',
    "'",
    '"',
    'x',
    ' ',
  )
  fc.assert(
    fc.property(fc.array(words, { maxLength: 12 }), (parts) => {
      try {
        apply([parts.join('')], { env: ['A=1'] })
      } catch (error) {
        expect(error).toMatchObject({ code: 'image.change_invalid' })
      }
    }),
    { numRuns: 50_000 },
  )
}, 30_000)
