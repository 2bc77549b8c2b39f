import { fault } from '@berth/core'
import { type Deployment, listQuerySchema, type Overview } from '@berth/domain'
import { Controller, Get, Inject, Param, Query } from '@nestjs/common'
import { ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { Deps } from '../deps.js'
import { parseInput } from '../parse-body.js'
import { Allow } from '../policy.guard.js'

const querySchema = listQuerySchema.extend({ service: z.string().max(100).optional() })

@ApiTags('deployments')
@Allow('user')
@Controller('api/v1')
export class DeploymentsController {
  constructor(@Inject(Deps) private readonly deps: Deps) {}

  @Get('deployments')
  async list(@Query() query: unknown): Promise<{ items: readonly Deployment[] }> {
    const { limit, service } = parseInput(querySchema, query)
    return { items: await this.deps.read.deployments({ limit, ...(service ? { service } : {}) }) }
  }

  @Get('deployments/:id')
  async get(@Param('id') id: string): Promise<Deployment> {
    const [deployment] = await this.deps.read.deployments({ id })
    if (!deployment)
      throw fault.notFound('deployment.not_found', `deployment ${id.slice(0, 40)} does not exist`)
    return deployment
  }

  @Get('overview')
  overview(): Promise<Overview> {
    return this.deps.read.overview()
  }
}
