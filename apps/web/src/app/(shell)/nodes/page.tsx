import { NodeList } from '../../../features/nodes/node-list'

export default function NodesPage() {
  return <NodeList />
}
