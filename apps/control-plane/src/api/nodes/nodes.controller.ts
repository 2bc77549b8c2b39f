import { type Node, nameSchema, updateNodeSchema } from '@berth/domain'
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post } from '@nestjs/common'
import { ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { Deps } from '../deps.js'
import { parseInput, parseName } from '../parse-body.js'
import { Allow } from '../policy.guard.js'

const joinTokenSchema = z.strictObject({ name: nameSchema })

@ApiTags('nodes')
@Allow('user')
@Controller('api/v1')
export class NodesController {
  constructor(@Inject(Deps) private readonly deps: Deps) {}

  @Get('nodes')
  async list(): Promise<{ items: readonly Node[]; next: null }> {
    return { items: await this.deps.read.nodes(), next: null }
  }

  @Get('nodes/:name')
  get(@Param('name') name: string): Promise<Node> {
    return this.deps.read.node(parseName('node', name))
  }

  @Patch('nodes/:name')
  async update(@Param('name') text: string, @Body() body: unknown): Promise<Node> {
    const name = parseName('node', text)
    await this.deps.nodes.update(name, parseInput(updateNodeSchema, body))
    return this.deps.read.node(name)
  }

  @Delete('nodes/:name')
  @HttpCode(204)
  async remove(@Param('name') name: string): Promise<void> {
    await this.deps.nodes.remove(parseName('node', name))
  }

  @Post('join-tokens')
  async joinToken(@Body() body: unknown): Promise<{ token: string; expiresAt: string }> {
    const { token, expiresAt } = await this.deps.cluster.createJoinToken(
      parseInput(joinTokenSchema, body).name,
    )
    return { token, expiresAt: expiresAt.toISOString() }
  }
}
