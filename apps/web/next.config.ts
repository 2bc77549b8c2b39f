import { join } from 'node:path'
import type { NextConfig } from 'next'

const repo = join(import.meta.dirname, '..', '..')

const config: NextConfig = {
  output: 'standalone',
  outputFileTracingRoot: repo,
  turbopack: { root: repo },
  poweredByHeader: false,
  compress: false,
  devIndicators: false,
  reactStrictMode: true,
}

export default config
