'use client'
import type { ServerMessage, Topic } from '@berth/domain'
import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from 'react'
import { keys } from '../api/queries'
import { applyChanged } from './apply'
import { LiveSocket, type LiveState } from './socket.client'

type LogListener = (message: ServerMessage & { readonly type: 'logs.lines' | 'logs.end' }) => void

interface Live {
  readonly state: LiveState
  readonly socket: LiveSocket
  readonly logListeners: Map<string, LogListener>
}

const LiveContext = createContext<Live | undefined>(undefined)
const OVERVIEW_MS = 700

/** One websocket for the whole page; what it brings goes into the query cache, so that every view of a thing agrees. */
export function LiveProvider({ children }: { readonly children: ReactNode }) {
  const client = useQueryClient()
  const [state, setState] = useState<LiveState>('connecting')
  const logListeners = useRef(new Map<string, LogListener>())
  const overviewDue = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const socket = useMemo(
    () =>
      new LiveSocket({
        onState: setState,
        onOpen: () =>
          void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'session' }),
        onMessage: (message) => {
          if (message.type === 'logs.lines' || message.type === 'logs.end')
            logListeners.current.get(message.stream)?.(message)
          if (message.type === 'resync') void client.invalidateQueries({ queryKey: [message.topic] })
          if (message.type !== 'changed') return
          applyChanged(client, message)
          overviewDue.current ??= setTimeout(() => {
            overviewDue.current = undefined
            void client.invalidateQueries({ queryKey: keys.overview })
          }, OVERVIEW_MS)
        },
      }),
    [client],
  )
  useEffect(() => {
    socket.open()
    return () => socket.close()
  }, [socket])
  const value = useMemo(() => ({ state, socket, logListeners: logListeners.current }), [state, socket])
  return <LiveContext.Provider value={value}>{children}</LiveContext.Provider>
}

function useLiveContext(): Live {
  const live = useContext(LiveContext)
  if (!live) throw new Error('useLive needs a LiveProvider above')
  return live
}

export const useLiveState = (): LiveState => useLiveContext().state

/** Follows topics while the component is on screen. Pass a constant array. */
export function useTopics(topics: readonly Topic[]): void {
  const { socket } = useLiveContext()
  useEffect(() => socket.follow(topics), [socket, topics])
}

/** Streams log lines while the component is on screen. */
export function useLogStream(
  target: { readonly service?: string; readonly task?: string },
  tail: number,
  listener: LogListener,
): void {
  const { socket, logListeners } = useLiveContext()
  const latest = useRef(listener)
  latest.current = listener
  const { service, task } = target
  useEffect(() => {
    const stream = crypto.randomUUID()
    logListeners.set(stream, (message) => latest.current(message))
    const close = socket.openLogs({
      type: 'logs.open',
      stream,
      tail,
      ...(service === undefined ? {} : { service }),
      ...(task === undefined ? {} : { task }),
    })
    return () => {
      close()
      logListeners.delete(stream)
    }
  }, [socket, logListeners, service, task, tail])
}
