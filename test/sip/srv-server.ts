import { createSocket, type Socket } from 'node:dgram';

export interface SrvRecord {
  priority: number;
  weight: number;
  port: number;
  target: string;
}

const srvType = 33;

/** A DNS server that knows SRV records and nothing else. */
export class SrvServer {
  readonly address: string;
  readonly #socket: Socket;

  private constructor(socket: Socket, records: Readonly<Record<string, readonly SrvRecord[]>>) {
    this.#socket = socket;
    this.address = `127.0.0.1:${socket.address().port}`;
    socket.on('message', (query, { address, port }) => socket.send(answerTo(query, records), port, address));
  }

  static open(records: Readonly<Record<string, readonly SrvRecord[]>>): Promise<SrvServer> {
    const socket = createSocket('udp4');
    return new Promise((resolve) =>
      socket.bind(0, '127.0.0.1', () => resolve(new SrvServer(socket, records))),
    );
  }

  close(): void {
    this.#socket.close();
  }
}

function answerTo(query: Buffer, records: Readonly<Record<string, readonly SrvRecord[]>>): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const question = query.subarray(12, at + 5);
  const isSrv = query.readUInt16BE(at + 1) === srvType;
  const found = isSrv ? (records[labels.join('.').toLowerCase()] ?? []) : [];
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(found.length > 0 ? 0x8180 : 0x8183, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(found.length, 6);
  header.writeUInt32BE(0, 8);
  const answers = found.map(({ priority, weight, port, target }) => {
    const name = Buffer.concat([
      ...target
        .split('.')
        .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1')),
      Buffer.of(0),
    ]);
    const record = Buffer.alloc(18);
    // The name is that of the question.
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(srvType, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(6 + name.length, 10);
    [priority, weight, port].forEach((value, i) => void record.writeUInt16BE(value, 12 + 2 * i));
    return Buffer.concat([record, name]);
  });
  return Buffer.concat([header, question, ...answers]);
}
