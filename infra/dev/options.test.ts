import { expect, test } from 'vitest'
import { parseLab, parseUp } from './options.js'

test('up takes a number of hosts and may leave the sample app out', () => {
  expect(parseUp([])).toEqual({ hosts: undefined, demo: true })
  expect(parseUp(['--hosts', '3', '--no-demo'])).toEqual({ hosts: 3, demo: false })
})

test.each([
  [['--hosts', '0'], /--hosts 0 must be a whole number from 1 to 50/],
  [['--hosts', 'many'], /--hosts many must be a whole number/],
  [['--host', '3'], /'--host'/],
])('up %j is refused in one sentence', (argv, sentence) => {
  expect(() => parseUp(argv)).toThrow(sentence)
})

test.each([
  [['cut', 'server-b'], { verb: 'cut', host: 'server-b', direction: 'both' }],
  [['cut', 'server-b', '--direction', 'in'], { verb: 'cut', direction: 'in' }],
  [['kill', 'server-a', '--hold'], { verb: 'kill', hold: true }],
  [['slow', 'server-a', '--rate', '256kbit'], { slowness: { rate: '256kbit' } }],
  [
    ['slow', 'server-a', '--loss', '10%', '--delay', '300ms'],
    { slowness: { lossPercent: 10, delayMs: 300 } },
  ],
])('lab %j is understood', (argv, expected) => {
  expect(parseLab(argv)).toMatchObject(expected)
})

test.each([
  [[], /use: npm run lab -- hosts\|cut\|heal/],
  [['explode', 'server-a'], /use: npm run lab -- /],
  [['cut', 'server-a', '--direction', 'sideways'], /must be both, in or out/],
  [['slow', 'server-a'], /slow needs --rate 256kbit, --loss 10 or --delay 300/],
  [['slow', 'server-a', '--loss', '101'], /--loss 101 must be a whole number from 1 to 100/],
])('lab %j is refused with what to type instead', (argv, sentence) => {
  expect(() => parseLab(argv)).toThrow(sentence)
})
