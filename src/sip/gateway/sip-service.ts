import { Empty } from '@bufbuild/protobuf';
import {
  CreateSIPDispatchRuleRequest,
  CreateSIPInboundTrunkRequest,
  CreateSIPOutboundTrunkRequest,
  CreateSIPParticipantRequest,
  CreateSIPTrunkRequest,
  DeleteSIPDispatchRuleRequest,
  DeleteSIPTrunkRequest,
  GetSIPInboundTrunkRequest,
  GetSIPInboundTrunkResponse,
  GetSIPOutboundTrunkRequest,
  GetSIPOutboundTrunkResponse,
  ListSIPDispatchRuleRequest,
  ListSIPDispatchRuleResponse,
  ListSIPInboundTrunkRequest,
  ListSIPInboundTrunkResponse,
  ListSIPOutboundTrunkRequest,
  ListSIPOutboundTrunkResponse,
  ListSIPTrunkRequest,
  ListSIPTrunkResponse,
  SIPDispatchRuleInfo,
  SIPInboundTrunkInfo,
  SIPOutboundTrunkInfo,
  SIPParticipantInfo,
  SIPTrunkInfo,
  SIPTrunkInfo_TrunkKind,
  TransferSIPParticipantRequest,
  UpdateSIPDispatchRuleRequest,
  UpdateSIPInboundTrunkRequest,
  UpdateSIPOutboundTrunkRequest,
} from '@livekit/protocol';
import { OffhookError } from '../../errors/index.js';
import { method, TwirpError, type TwirpService } from '../../server/index.js';
import { DirectoryError, type SipDirectory } from './directory.js';
import type { SipGateway } from './gateway.js';
import { durationMs } from './inbound-call.js';

const defaultTransferMs = 30_000;

/** The SIP service of LiveKit's server API: trunks, dispatch rules, calls to the outside, transfers. */
export function sipService(gateway: () => SipGateway): TwirpService {
  return {
    ...trunkMethods(gateway),
    ...legacyTrunkMethods(gateway),
    ...ruleMethods(gateway),
    ...callMethods(gateway),
  };
}

function trunkMethods(gateway: () => SipGateway): TwirpService {
  return {
    CreateSIPInboundTrunk: method(CreateSIPInboundTrunkRequest, ({ trunk }) => {
      return change(gateway, (directory) => directory.addInbound(given(trunk, 'trunk')));
    }),
    CreateSIPOutboundTrunk: method(CreateSIPOutboundTrunkRequest, ({ trunk }) => {
      return change(gateway, (directory) => directory.addOutbound(given(trunk, 'trunk')));
    }),
    UpdateSIPInboundTrunk: method(UpdateSIPInboundTrunkRequest, ({ sipTrunkId, action }) => {
      return change(gateway, (directory): SIPInboundTrunkInfo => {
        if (action.case === 'replace') return directory.replaceInbound(sipTrunkId, action.value);
        return directory.updateInbound(sipTrunkId, given(action.value, 'update'));
      });
    }),
    UpdateSIPOutboundTrunk: method(UpdateSIPOutboundTrunkRequest, ({ sipTrunkId, action }) => {
      return change(gateway, (directory): SIPOutboundTrunkInfo => {
        if (action.case === 'replace') return directory.replaceOutbound(sipTrunkId, action.value);
        return directory.updateOutbound(sipTrunkId, given(action.value, 'update'));
      });
    }),
    GetSIPInboundTrunk: method(GetSIPInboundTrunkRequest, ({ sipTrunkId }) => {
      const trunk = found(gateway().directory.inbound.get(sipTrunkId), 'trunk');
      return new GetSIPInboundTrunkResponse({ trunk: trunk.clone() });
    }),
    GetSIPOutboundTrunk: method(GetSIPOutboundTrunkRequest, ({ sipTrunkId }) => {
      const trunk = found(gateway().directory.outbound.get(sipTrunkId), 'trunk');
      return new GetSIPOutboundTrunkResponse({ trunk: trunk.clone() });
    }),
    ListSIPInboundTrunk: method(ListSIPInboundTrunkRequest, ({ trunkIds, numbers, page }) => {
      const trunks = selected(gateway().directory.inbound, trunkIds, page);
      const items = trunks.filter((trunk) => hasNumber(trunk.numbers, numbers));
      return new ListSIPInboundTrunkResponse({ items: items.map((trunk) => trunk.clone()) });
    }),
    ListSIPOutboundTrunk: method(ListSIPOutboundTrunkRequest, ({ trunkIds, numbers, page }) => {
      const trunks = selected(gateway().directory.outbound, trunkIds, page);
      const items = trunks.filter((trunk) => hasNumber(trunk.numbers, numbers));
      return new ListSIPOutboundTrunkResponse({ items: items.map((trunk) => trunk.clone()) });
    }),
    DeleteSIPTrunk: method(DeleteSIPTrunkRequest, ({ sipTrunkId }) => {
      return change(gateway, (directory) => {
        const info = legacyTrunk(directory, sipTrunkId);
        directory.deleteTrunk(sipTrunkId);
        return info;
      });
    }),
  };
}

/** Trunks for both directions under one id, as programs written before they were parted make and list them. */
function legacyTrunkMethods(gateway: () => SipGateway): TwirpService {
  return {
    CreateSIPTrunk: method(CreateSIPTrunkRequest, (request) => {
      const { name, metadata, inboundNumbers, inboundAddresses, outboundAddress, outboundNumber } = request;
      if (request.inboundNumbersRegex.length > 0)
        throw new TwirpError('invalid_argument', 'patterns of numbers are not understood: list the numbers');
      return change(gateway, (directory) => {
        const { sipTrunkId } = directory.addInbound(
          new SIPInboundTrunkInfo({
            ...{ name, metadata, numbers: inboundNumbers, allowedAddresses: inboundAddresses },
            ...{ authUsername: request.inboundUsername, authPassword: request.inboundPassword },
          }),
        );
        if (outboundAddress === '') return legacyTrunk(directory, sipTrunkId);
        const outbound = new SIPOutboundTrunkInfo({
          ...{ name, metadata, address: outboundAddress, numbers: [outboundNumber || '*'] },
          ...{ authUsername: request.outboundUsername, authPassword: request.outboundPassword },
        });
        try {
          directory.addOutbound(outbound, sipTrunkId);
        } catch (error) {
          directory.deleteTrunk(sipTrunkId);
          throw error;
        }
        return legacyTrunk(directory, sipTrunkId);
      });
    }),
    ListSIPTrunk: method(ListSIPTrunkRequest, () => {
      const { directory } = gateway();
      const ids = [...new Set([...directory.inbound.keys(), ...directory.outbound.keys()])];
      return new ListSIPTrunkResponse({ items: ids.map((id) => legacyTrunk(directory, id)) });
    }),
  };
}

function legacyTrunk({ inbound, outbound }: SipDirectory, sipTrunkId: string): SIPTrunkInfo {
  const [taken, made] = [inbound.get(sipTrunkId), outbound.get(sipTrunkId)];
  const { TRUNK_INBOUND, TRUNK_OUTBOUND, TRUNK_LEGACY } = SIPTrunkInfo_TrunkKind;
  const [number = ''] = made?.numbers ?? [];
  return new SIPTrunkInfo({
    sipTrunkId,
    kind: taken && made ? TRUNK_LEGACY : taken ? TRUNK_INBOUND : TRUNK_OUTBOUND,
    name: (taken ?? made)?.name ?? '',
    metadata: (taken ?? made)?.metadata ?? '',
    ...(taken
      ? {
          inboundNumbers: [...taken.numbers],
          inboundAddresses: [...taken.allowedAddresses],
          inboundUsername: taken.authUsername,
          inboundPassword: taken.authPassword,
        }
      : {}),
    ...(made
      ? {
          outboundAddress: made.address,
          outboundNumber: number === '*' ? '' : number,
          outboundUsername: made.authUsername,
          outboundPassword: made.authPassword,
          transport: made.transport,
        }
      : {}),
  });
}

function ruleMethods(gateway: () => SipGateway): TwirpService {
  return {
    CreateSIPDispatchRule: method(CreateSIPDispatchRuleRequest, (request) => {
      const { rule, trunkIds, hidePhoneNumber, inboundNumbers, name, metadata, attributes } = request;
      const { roomPreset, roomConfig } = request;
      const info =
        request.dispatchRule ??
        new SIPDispatchRuleInfo({
          ...(rule ? { rule } : {}),
          ...{ trunkIds, hidePhoneNumber, inboundNumbers, name, metadata, attributes, roomPreset },
          ...(roomConfig ? { roomConfig } : {}),
        });
      return change(gateway, (directory) => directory.addRule(info));
    }),
    UpdateSIPDispatchRule: method(UpdateSIPDispatchRuleRequest, ({ sipDispatchRuleId, action }) => {
      return change(gateway, (directory): SIPDispatchRuleInfo => {
        if (action.case === 'replace') return directory.replaceRule(sipDispatchRuleId, action.value);
        return directory.updateRule(sipDispatchRuleId, given(action.value, 'update'));
      });
    }),
    ListSIPDispatchRule: method(ListSIPDispatchRuleRequest, (request) => {
      const { dispatchRuleIds, trunkIds, page } = request;
      const items = selected(gateway().directory.rules, dispatchRuleIds, page).filter(
        (rule) =>
          trunkIds.length === 0 ||
          rule.trunkIds.length === 0 ||
          rule.trunkIds.some((id) => trunkIds.includes(id)),
      );
      return new ListSIPDispatchRuleResponse({ items: items.map((rule) => rule.clone()) });
    }),
    DeleteSIPDispatchRule: method(DeleteSIPDispatchRuleRequest, ({ sipDispatchRuleId }) => {
      return change(gateway, (directory) => directory.deleteRule(sipDispatchRuleId));
    }),
  };
}

function callMethods(gateway: () => SipGateway): TwirpService {
  return {
    CreateSIPParticipant: method(CreateSIPParticipantRequest, async (request) => {
      if (request.roomName === '') throw new TwirpError('invalid_argument', 'no room name');
      if (request.sipCallTo === '') throw new TwirpError('invalid_argument', 'nobody to call was given');
      const call = await gateway().dial(request).catch(asTwirpError);
      if (request.waitUntilAnswered) {
        const outcome = await call.dialed;
        if (!outcome.answered) throw dialError(outcome.status, outcome.reason);
      }
      return new SIPParticipantInfo({
        participantId: call.participantSid,
        participantIdentity: call.identity,
        roomName: call.roomName,
        sipCallId: call.callId,
      });
    }),
    TransferSIPParticipant: method(TransferSIPParticipantRequest, async (request) => {
      const { roomName, participantIdentity, transferTo, headers, playDialtone } = request;
      const call = found(gateway().findCall(roomName, participantIdentity), 'SIP participant');
      const { transfer } = call;
      if (!transfer) throw new TwirpError('failed_precondition', 'the call is not answered yet');
      const ringingMs = durationMs(request.ringingTimeout) ?? defaultTransferMs;
      const { status, reason } = await transfer({ to: transferTo, headers, playDialtone, ringingMs });
      if (status >= 300) throw dialError(status, reason);
      return new Empty();
    }),
  };
}

function change<Result>(gateway: () => SipGateway, act: (directory: SipDirectory) => Result): Result {
  try {
    return act(gateway().directory);
  } catch (error) {
    if (error instanceof DirectoryError) throw new TwirpError(error.code, error.message);
    throw error;
  }
}

function given<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new TwirpError('invalid_argument', `no ${what} was given`);
  return value;
}

function found<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new TwirpError('not_found', `there is no such ${what}`);
  return value;
}

/** Those with the ids, in their order, or all; a page of them. */
function selected<Entry>(
  table: ReadonlyMap<string, Entry>,
  ids: readonly string[],
  page: { afterId: string; limit: number } | undefined,
): Entry[] {
  if (ids.length > 0) return ids.flatMap((id) => table.get(id) ?? []);
  const keys = [...table.keys()];
  const after = page?.afterId ? keys.indexOf(page.afterId) + 1 : 0;
  return keys.slice(after, page?.limit ? after + page.limit : undefined).map((id) => table.get(id)!);
}

function hasNumber(own: readonly string[], wanted: readonly string[]): boolean {
  return wanted.length === 0 || own.length === 0 || own.some((number) => wanted.includes(number));
}

function asTwirpError(error: unknown): never {
  if (error instanceof OffhookError) {
    const isBad = error.code === 'OFFHOOK_INVALID_REQUEST' || error.code === 'OFFHOOK_INVALID_URL';
    throw new TwirpError(isBad ? 'invalid_argument' : 'unavailable', error.message);
  }
  throw error;
}

/** A call that came to nothing, with the SIP status by which `SipCallError` of the server SDKs tells why. */
function dialError(status: number, reason: string): TwirpError {
  const meta = { sip_status_code: String(status), sip_status: reason };
  return new TwirpError(codeOf(status), `INVITE failed: sip status: ${status}: ${reason}`, meta);
}

function codeOf(
  status: number,
): 'not_found' | 'permission_denied' | 'deadline_exceeded' | 'canceled' | 'unavailable' {
  switch (status) {
    case 404:
    case 604:
      return 'not_found';
    case 401:
    case 403:
    case 407:
    case 603:
      return 'permission_denied';
    case 408:
    case 504:
      return 'deadline_exceeded';
    case 487:
      return 'canceled';
    default:
      return 'unavailable';
  }
}
