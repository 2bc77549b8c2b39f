/** `ready`: heartbeats arrive; `down`: they stopped; `unknown`: the control plane has just started and has not heard yet. */
export const NODE_STATES = ['unknown', 'ready', 'down'] as const
export type NodeState = (typeof NODE_STATES)[number]

/** `drain` moves every task away; `pause` only takes no new ones. */
export const NODE_AVAILABILITIES = ['active', 'pause', 'drain'] as const
export type NodeAvailability = (typeof NODE_AVAILABILITIES)[number]
