export type { PublishedEndpoint } from './kernel/rules/published-endpoint.js'
