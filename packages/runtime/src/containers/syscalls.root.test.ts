import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'

/**
 * reliability.md §4.2, 2: the filter tested call by call. Each call is a program of a few instructions that makes it and exits with its errno
 * (or the low byte of the negated result), so that nothing of a libc stands between.
 */
const EPERM = 1
const ENOSYS = 38
const HEADERS = 120
const BASE = 0x400000

/** An ELF file for x86-64 with one loadable segment: `exit(-syscall(number, ...args))`. */
function program(number: number, args: readonly number[]): Buffer {
  const immediate = (opcode: readonly number[], value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value >>> 0)
    return Buffer.concat([Buffer.from(opcode), bytes])
  }
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = args
  const code = Buffer.concat([
    immediate([0xbf], a), // mov edi, a
    immediate([0xbe], b), // mov esi, b
    immediate([0xba], c), // mov edx, c
    immediate([0x41, 0xba], d), // mov r10d, d
    immediate([0x41, 0xb8], e), // mov r8d, e
    immediate([0xb8], number), // mov eax, number
    Buffer.from([0x0f, 0x05]), // syscall
    Buffer.from([0xf7, 0xd8]), // neg eax
    Buffer.from([0x89, 0xc7]), // mov edi, eax
    immediate([0xb8], 60), // mov eax, exit
    Buffer.from([0x0f, 0x05]), // syscall
  ])
  const head = Buffer.alloc(HEADERS)
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(head)
  head.writeUInt16LE(2, 16) // executable
  head.writeUInt16LE(62, 18) // x86-64
  head.writeUInt32LE(1, 20)
  head.writeBigUInt64LE(BigInt(BASE + HEADERS), 24) // entry
  head.writeBigUInt64LE(64n, 32) // program headers
  head.writeUInt16LE(64, 52)
  head.writeUInt16LE(56, 54)
  head.writeUInt16LE(1, 56)
  head.writeUInt32LE(1, 64) // loadable
  head.writeUInt32LE(5, 68) // read and execute
  head.writeBigUInt64LE(BigInt(BASE), 80)
  head.writeBigUInt64LE(BigInt(BASE), 88)
  const size = BigInt(HEADERS + code.length)
  head.writeBigUInt64LE(size, 96)
  head.writeBigUInt64LE(size, 104)
  head.writeBigUInt64LE(4096n, 112)
  return Buffer.concat([head, code])
}

const CLONE_NEWUSER = 0x10000000
const SIGCHLD = 17
const CALLS: readonly (readonly [name: string, number: number, args: readonly number[], answer: number])[] = [
  ['getuid', 102, [], 0],
  ['socket-inet', 41, [2, 1, 0], 256 - 3],
  ['socket-netlink', 41, [16, 3, 0], 256 - 3],
  ['personality-linux', 135, [0], 0],
  ['socket-alg', 41, [38, 5, 0], EPERM],
  ['socket-vsock', 41, [40, 1, 0], EPERM],
  ['io_uring_setup', 425, [1, 0], EPERM],
  ['io_uring_enter', 426, [], EPERM],
  ['keyctl', 250, [0, 0], EPERM],
  ['add_key', 248, [], EPERM],
  ['request_key', 249, [], EPERM],
  ['unshare-user', 272, [CLONE_NEWUSER], EPERM],
  ['clone-newuser', 56, [CLONE_NEWUSER | SIGCHLD], EPERM],
  ['clone3', 435, [0, 0], ENOSYS],
  ['setns', 308, [0, 0], EPERM],
  ['mount', 165, [], EPERM],
  ['umount2', 166, [], EPERM],
  ['open_tree', 428, [], EPERM],
  ['move_mount', 429, [], EPERM],
  ['fsopen', 430, [], EPERM],
  ['mount_setattr', 442, [], EPERM],
  ['pivot_root', 155, [], EPERM],
  ['bpf', 321, [0], EPERM],
  ['perf_event_open', 298, [], EPERM],
  ['userfaultfd', 323, [0], EPERM],
  ['kexec_load', 246, [], EPERM],
  ['init_module', 175, [], EPERM],
  ['finit_module', 313, [], EPERM],
  ['open_by_handle_at', 304, [], EPERM],
  ['swapon', 167, [], EPERM],
  ['syslog', 103, [3, 0, 0], EPERM],
  ['sethostname', 170, [0, 0], EPERM],
  ['reboot', 169, [], EPERM],
  ['quotactl', 179, [], EPERM],
  ['move_pages', 279, [], EPERM],
  ['personality-bsd', 135, [6], EPERM],
  ['clock_settime', 227, [0, 0], EPERM],
]

let host: TestRuntime
const answers = new Map<string, number>()
beforeAll(async () => {
  host = await openTestRuntime()
  if (process.arch !== 'x64') return
  await buildTinyImage(host.runtime, {
    lines: ['COPY --chmod=755 calls /calls/'],
    files: Object.fromEntries(CALLS.map(([name, number, args]) => [`calls/${name}`, program(number, args)])),
  })
  const script = 'cd /calls; for call in *; do ./$call; echo "$call $?"; done'
  const { containers } = host.runtime
  const { id } = await containers.create({
    name: 'caller',
    image: 'tiny:1',
    command: ['sh', '-c', script],
    network: 'none',
  })
  await containers.start(id)
  await containers.wait(id)
  for await (const { line } of containers.logs(id))
    answers.set(line.split(' ')[0] ?? '', Number(line.split(' ')[1]))
})
afterAll(() => host?.dispose())

test.skipIf(process.arch !== 'x64').each(CALLS)(
  'the call %s (%i %j) is answered with %i',
  (name, _number, _args, answer) => {
    expect(answers.get(name)).toBe(answer)
  },
)
