// A name server on the loopback interface: a zone of the test's own, and questions that are never answered.
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import packet from 'dns-packet';

export interface NameServer {
  /** As `nameServers` takes it. */
  server: string;
  questions: string[];
  close(): void;
}

/** @param zone addresses by name; `silent` families of a name are never answered, unknown names do not exist */
export async function nameServer(
  zone: Record<string, { addresses: string[]; silent?: ('A' | 'AAAA')[] }>,
): Promise<NameServer> {
  const socket = createSocket('udp4');
  const questions: string[] = [];
  socket.on('message', (message, from) => {
    const query = packet.decode(message);
    const { name, type } = query.questions![0]!;
    questions.push(`${type} ${name}`);
    const known = zone[name.toLowerCase()];
    if (known?.silent?.includes(type as 'A' | 'AAAA')) return;
    const answers = (known?.addresses ?? [])
      .filter((address) => type === (isIPv6(address) ? 'AAAA' : 'A'))
      .map((data) => ({ type: type as 'A', name, ttl: 1, data }));
    const flags = packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | (known ? 0 : 3);
    const reply = packet.encode({
      type: 'response',
      id: query.id,
      flags,
      questions: query.questions,
      answers,
    });
    socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { server: `127.0.0.1:${socket.address().port}`, questions, close: () => socket.close() };
}
