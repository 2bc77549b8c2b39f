export * from './gen/berth/agent/v1/dispatcher.js'
export * from './gen/berth/agent/v1/enrollment.js'
export * from './gen/berth/agent/v1/host.js'
