import { type Fault, faultFromGrpc } from '@berth/core'
import { ChannelCredentials, type ClientOptions, type ServiceError } from '@grpc/grpc-js'
import type { Identity } from '../state/agent.store.js'

/** The name in the control plane's certificate, whatever address it is reached under. */
export const CONTROL_PLANE_NAME = 'control-plane.berth.internal'

/** A connection that died without a word is noticed within 8 s; there is no shared subchannel, so a new client is a new connection. */
export const CHANNEL_OPTIONS: ClientOptions = {
  'grpc.ssl_target_name_override': CONTROL_PLANE_NAME,
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 3_000,
}

export const nodeCredentials = (identity: Identity): ChannelCredentials =>
  ChannelCredentials.createSsl(
    Buffer.from(identity.caPem),
    Buffer.from(identity.keyPem),
    Buffer.from(identity.certificatePem),
  )

/** What the control plane answered, or that it cannot be reached. */
export const controlPlaneFault = (error: ServiceError): Fault =>
  faultFromGrpc(error, 'control_plane.unreachable', 'the control plane cannot be reached')
