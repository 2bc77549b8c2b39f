import { fault } from '@berth/core'
import {
  type Deployment,
  type LogLine,
  listQuerySchema,
  logsQuerySchema,
  type Service,
  type ServiceSpec,
  scaleSchema,
  serviceSchema,
  serviceSpecSchema,
  type Task,
} from '@berth/domain'
import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common'
import { ApiBody, ApiOkResponse, ApiTags } from '@nestjs/swagger'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { Deps } from '../deps.js'
import { parseInput, parseName } from '../parse-body.js'
import { Allow, type AuthenticatedRequest } from '../policy.guard.js'
import { collectLogs } from '../tasks/collect-logs.exec.js'

const ETAG = /^"spec-(\d+)"$/

@ApiTags('services')
@Allow('user')
@Controller('api/v1/services')
export class ServicesController {
  constructor(@Inject(Deps) private readonly deps: Deps) {}

  @Get()
  @ApiOkResponse({ schema: { type: 'object' } })
  async list(@Query() query: unknown): Promise<{ items: readonly Service[]; next: string | null }> {
    const { limit, cursor } = parseInput(listQuerySchema, query)
    const all = (await this.deps.read.services()).filter(
      (service) => cursor === undefined || service.name > cursor,
    )
    return { items: all.slice(0, limit), next: all.length > limit ? (all[limit - 1]?.name ?? null) : null }
  }

  @Post()
  @ApiBody({ schema: schemaOf(serviceSpecSchema) })
  async create(
    @Body() body: unknown,
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Service> {
    const spec = parseInput(serviceSpecSchema, body, 'spec.invalid')
    await this.deps.services.create(spec, await this.deps.resolveImage(spec.task.image), actorOf(request))
    return this.answer(spec.name, reply)
  }

  @Get(':name')
  @ApiOkResponse({ schema: schemaOf(serviceSchema) })
  async get(@Param('name') name: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Service> {
    return this.answer(parseName('service', name), reply)
  }

  @Put(':name')
  @ApiBody({ schema: schemaOf(serviceSpecSchema) })
  async put(
    @Param('name') text: string,
    @Body() body: unknown,
    @Headers('if-match') ifMatch: string | undefined,
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Service> {
    const name = parseName('service', text)
    const spec = parseInput(serviceSpecSchema, body, 'spec.invalid')
    if (spec.name !== name)
      throw fault.invalidArgument(
        'spec.invalid',
        `name: the spec is for ${spec.name} but the address says ${name}`,
      )
    const [known] = await this.deps.read.services({ name })
    const image = await this.deps.resolveImage(spec.task.image)
    if (!known) {
      await this.deps.services.create(spec, image, actorOf(request))
      reply.code(201)
      return this.answer(name, reply)
    }
    await this.deps.services.update(name, () => spec, image, expectedVersion(ifMatch, name), actorOf(request))
    return this.answer(name, reply)
  }

  @Delete(':name')
  @HttpCode(204)
  async remove(@Param('name') name: string, @Req() request: AuthenticatedRequest): Promise<void> {
    await this.deps.services.remove(parseName('service', name), actorOf(request))
  }

  @Post(':name/scale')
  @HttpCode(200)
  @ApiBody({ schema: schemaOf(scaleSchema) })
  async scale(
    @Param('name') text: string,
    @Body() body: unknown,
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Service> {
    const name = parseName('service', text)
    const { replicas } = parseInput(scaleSchema, body)
    await this.deps.services.update(
      name,
      (spec: ServiceSpec) => ({ ...spec, replicas }),
      undefined,
      undefined,
      actorOf(request),
    )
    return this.answer(name, reply)
  }

  @Post(':name/rollback')
  @HttpCode(200)
  async rollback(
    @Param('name') text: string,
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Service> {
    const name = parseName('service', text)
    const previous = await this.deps.services.previousRelease(name)
    await this.deps.services.update(
      name,
      (spec) => ({ ...previous.spec, replicas: spec.replicas }),
      previous.resolvedImage,
      undefined,
      actorOf(request),
      true,
    )
    return this.answer(name, reply)
  }

  @Get(':name/tasks')
  async tasks(@Param('name') text: string): Promise<{ items: readonly Task[] }> {
    const service = await this.deps.read.service(parseName('service', text))
    return { items: await this.deps.read.tasks({ serviceIds: [service.id] }) }
  }

  @Get(':name/deployments')
  async deployments(@Param('name') text: string): Promise<{ items: readonly Deployment[] }> {
    const service = await this.deps.read.service(parseName('service', text))
    return { items: await this.deps.read.deployments({ service: service.name }) }
  }

  @Get(':name/logs')
  async logs(
    @Param('name') text: string,
    @Query() query: unknown,
  ): Promise<{ items: readonly LogLine[]; unreachable: readonly { node: string }[] }> {
    const service = await this.deps.read.service(parseName('service', text))
    const { tail } = parseInput(logsQuerySchema, query)
    return collectLogs(
      this.deps,
      await this.deps.read.tasks({ serviceIds: [service.id], current: true }),
      tail,
    )
  }

  private async answer(name: string, reply: FastifyReply): Promise<Service> {
    const service = await this.deps.read.service(name)
    reply.header('etag', `"spec-${service.specVersion}"`)
    return service
  }
}

/** `*` means whatever it is. @throws precondition.required, request.invalid */
function expectedVersion(ifMatch: string | undefined, name: string): number | undefined {
  if (ifMatch === undefined)
    throw fault.failedPrecondition(
      'precondition.required',
      `service ${name} exists: send If-Match with the ETag you read, or * to replace it whatever it is`,
    )
  if (ifMatch === '*') return undefined
  const match = ETAG.exec(ifMatch)
  if (!match)
    throw fault.invalidArgument('request.invalid', `If-Match ${ifMatch.slice(0, 50)} must be "spec-N" or *`)
  return Number(match[1])
}

export const actorOf = (request: AuthenticatedRequest): string => request.actor?.name ?? 'nobody'

export function schemaOf(schema: z.ZodType): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return rest
}
