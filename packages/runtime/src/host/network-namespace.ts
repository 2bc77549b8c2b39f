import { closeSync, openSync } from 'node:fs'
import { fault } from '@berth/core'
import koffi from 'koffi'

const libc = koffi.load('libc.so.6')
const setnsCall = libc.func('int setns(int fd, int kind)')
const unshareCall = libc.func('int unshare(int kind)')
const CLONE_NEWNET = 0x40000000

/** Does the work with this thread in another network namespace, given by path; nothing may be awaited in it. @throws host.netlink */
export function inNetworkNamespace<T>(namespace: string, work: () => T): T {
  const own = openSync('/proc/thread-self/ns/net', 'r')
  try {
    const other = openSync(namespace, 'r')
    try {
      enter(other, `entering ${namespace}`)
    } finally {
      closeSync(other)
    }
    try {
      return work()
    } finally {
      enter(own, 'coming back to the own network namespace')
    }
  } finally {
    closeSync(own)
  }
}

let isApart = false
/** Whether this thread is in another network namespace than the process's other threads. */
export const isThreadApart = (): boolean => isApart

/** Gives this thread, and all programs it starts, a new network namespace, and gives the way back. Other threads stay. @throws host.netlink */
export function unshareNetwork(): () => void {
  const before = openSync('/proc/thread-self/ns/net', 'r')
  if (unshareCall(CLONE_NEWNET) !== 0) throw failed('making a network namespace')
  isApart = true
  return () => {
    enter(before, 'coming back to the own network namespace')
    isApart = false
    closeSync(before)
  }
}

function enter(fd: number, what: string): void {
  if (setnsCall(fd, CLONE_NEWNET) !== 0) throw failed(what)
}

const failed = (what: string) => fault.internal('host.netlink', `${what}: errno ${koffi.errno()}`)
