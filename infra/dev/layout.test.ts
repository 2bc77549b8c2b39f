import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hostLetters, labLayout } from './layout.js'

const labName = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/)

test('hosts of a lab share no name, address, namespace, cable or directory, and kernel names fit', () => {
  fc.assert(
    fc.property(labName, fc.integer({ min: 1, max: 50 }), (name, count) => {
      const lab = labLayout(name, count)
      for (const key of ['name', 'address', 'namespace', 'cable', 'root', 'runRoot', 'cgroup'] as const)
        expect(new Set(lab.hosts.map((host) => host[key])).size).toBe(count)
      for (const device of [lab.bridge, ...lab.hosts.map((host) => host.cable)])
        expect(device.length).toBeLessThanOrEqual(15)
    }),
  )
})

test('ports of one lab are all different, and socket paths stay short enough for the kernel', () => {
  fc.assert(
    fc.property(labName, (name) => {
      const lab = labLayout(name, 2)
      const ports = [lab.httpPort, lab.httpsPort, lab.grpcPort, lab.webPort, lab.agentPort, lab.postgresPort]
      expect(new Set(ports).size).toBe(ports.length)
      expect(`${lab.hosts[1]?.runRoot}/c/0123456789ab/attach`.length).toBeLessThan(100)
    }),
  )
})

test("the user's own lab never shares a subnet or port with another", () => {
  const own = labLayout('lab', 2)
  fc.assert(
    fc.property(
      labName.filter((name) => name !== 'lab'),
      (name) => {
        const other = labLayout(name, 2)
        expect([other.gateway === own.gateway, other.httpPort === own.httpPort]).toEqual([false, false])
      },
    ),
  )
})

test.each(['', 'Lab', '9lab', 'a-b', '../etc', 'toolongname'])(
  'a lab may not be called %j, and the message says what it may be called',
  (name) => expect(() => labLayout(name, 1)).toThrow(/1 to 8 characters a-z, 0-9/),
)

test('hosts are lettered a to z, then aa', () => {
  expect([0, 1, 25, 26, 27, 51, 52].map(hostLetters)).toEqual(['a', 'b', 'z', 'aa', 'ab', 'az', 'ba'])
})
