import { close } from 'node:fs'
import { fault } from '@berth/core'
import koffi from 'koffi'
import {
  decodeMessages,
  decodeOutcome,
  encodeMessage,
  type NetlinkAnswer,
  type NetlinkMessage,
  NLM_F_ACK,
  NLMSG_DONE,
  NLMSG_ERROR,
} from './netlink-message.js'
import { inNetworkNamespace } from './network-namespace.js'

/**
 * Requests to the kernel over a netlink socket, without a program in between. The kernel carries a request out within the send, so the
 * answers are there when it returns; sends go through the thread pool because one may wait for the kernel's routing lock.
 */
const libc = koffi.load('libc.so.6')
const socketCall = libc.func('int socket(int domain, int type, int protocol)')
const setsockoptCall = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
)
const sendCall = libc.func('long send(int fd, const void *data, size_t length, int flags)')
const recvCall = libc.func('long recv(int fd, _Out_ void *data, size_t length, int flags)')

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const MSG_DONTWAIT = 0x40
const MSG_TRUNC = 0x20
const ANSWER_BYTES = 64 * 1024

export const NETLINK_ROUTE = 0
export const NETLINK_NETFILTER = 12

const nameOf = (errno: number): string =>
  Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? String(errno)
const failed = (what: string, errno: number, words?: string) =>
  fault.internal('host.netlink', `${what}: ${nameOf(errno)}${words ? ` (${words})` : ''}`, {
    params: { errno: nameOf(errno) },
  })
/** Whether a fault of a request is this error of the kernel. */
export const isErrno = (error: unknown, name: string): boolean =>
  (error as { readonly params?: { readonly errno?: unknown } } | undefined)?.params?.errno === name

/** One conversation with the kernel; not for two at the same time. Close it. */
export class NetlinkSocket {
  private readonly fd: number
  private sequence = 0

  /** In the network namespace this thread is in. @throws host.netlink */
  constructor(private readonly protocol: number) {
    this.fd = socketCall(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, this.protocol)
    if (this.fd < 0) throw failed('opening a netlink socket', koffi.errno())
    const on = Buffer.from([1, 0, 0, 0])
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK])
      setsockoptCall(this.fd, SOL_NETLINK, option, on, on.length)
  }

  /** Sends all in one datagram; they are carried out in order. Their answers, acknowledgements left out. @throws host.netlink on the first that failed, named by `what` */
  async request(what: string, messages: readonly NetlinkMessage[]): Promise<readonly NetlinkAnswer[]> {
    const first = this.sequence + 1
    const datagram = this.encode(messages)
    await this.send(what, datagram)
    return this.answers(what, first)
  }

  private async send(what: string, datagram: Buffer): Promise<void> {
    const sent = await new Promise<number>((resolve, reject) =>
      sendCall.async(this.fd, datagram, datagram.length, 0, (error: unknown, result: number) =>
        error ? reject(error) : resolve(result),
      ),
    )
    if (sent < 0) throw fault.internal('host.netlink', `${what}: the kernel took no message`)
  }

  /**
   * As `request`, between two messages that open and close a transaction (nfnetlink's batches): all is carried out or nothing. Kernels differ in
   * whether they acknowledge those two, so they are not asked to.
   */
  async transact(
    what: string,
    { begin, end }: { readonly begin: NetlinkMessage; readonly end: NetlinkMessage },
    messages: readonly NetlinkMessage[],
  ): Promise<void> {
    const opening = encodeMessage(begin, ++this.sequence)
    const first = this.sequence + 1
    const body = this.encode(messages)
    const last = this.sequence
    const datagram = Buffer.concat([opening, body, encodeMessage(end, ++this.sequence)])
    await this.send(what, datagram)
    this.answers(what, first, last)
  }

  /** As `request`, on this thread: for questions, which wait for nothing long. */
  ask(what: string, messages: readonly NetlinkMessage[]): readonly NetlinkAnswer[] {
    const first = this.sequence + 1
    const datagram = this.encode(messages)
    if (sendCall(this.fd, datagram, datagram.length, 0) < 0) throw failed(what, koffi.errno())
    return this.answers(what, first)
  }

  private encode(messages: readonly NetlinkMessage[]): Buffer {
    return Buffer.concat(
      messages.map((message) => {
        this.sequence += 1
        return encodeMessage({ ...message, flags: message.flags | NLM_F_ACK }, this.sequence)
      }),
    )
  }

  /** Reads until all from `first` on are settled. */
  private answers(what: string, first: number, last = this.sequence): readonly NetlinkAnswer[] {
    const open = new Set(Array.from({ length: last - first + 1 }, (_, index) => first + index))
    const answers: NetlinkAnswer[] = []
    let failure: Error | undefined
    while (open.size > 0) {
      for (const answer of decodeMessages(this.receive(what))) {
        if (answer.type !== NLMSG_ERROR && answer.type !== NLMSG_DONE) {
          answers.push(answer)
          continue
        }
        const isOpen = open.delete(answer.sequence)
        if (answer.type === NLMSG_DONE) continue
        const { errno, words } = decodeOutcome(answer)
        if (errno !== 0) failure ??= failed(what, errno, words)
        // A transaction that was refused as a whole: its parts are not answered.
        if (!isOpen && failure) throw failure
      }
    }
    if (failure) throw failure
    return answers
  }

  /** @throws host.netlink with EAGAIN when the kernel has nothing more to say: the conversation is broken */
  private receive(what: string): Buffer {
    const buffer = Buffer.allocUnsafe(ANSWER_BYTES)
    const length = recvCall(this.fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC)
    if (length < 0) throw failed(`${what}: reading the answer`, koffi.errno())
    if (length > buffer.length) throw fault.internal('host.netlink', `${what}: an answer of ${length} bytes`)
    return buffer.subarray(0, length)
  }

  /** In the thread pool, and nobody waits: after a transaction of nf_tables the kernel lets go of the socket only when it has freed what was replaced, 12 to 14 ms. */
  close(): void {
    close(this.fd, () => {})
  }
}

/** Opens a socket for the work and closes it. */
export async function withNetlink<T>(
  open: () => NetlinkSocket,
  work: (socket: NetlinkSocket) => Promise<T>,
): Promise<T> {
  const socket = open()
  try {
    return await work(socket)
  } finally {
    socket.close()
  }
}

/** A socket of another network namespace, given by path: it stays in it, this thread does not. @throws host.netlink */
export const openNetlinkIn = (namespace: string, protocol: number): NetlinkSocket =>
  inNetworkNamespace(namespace, () => new NetlinkSocket(protocol))
