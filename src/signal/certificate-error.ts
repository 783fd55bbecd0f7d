interface Problem {
  says: string;
  advice: string;
}

const missingRoot: Problem = {
  says: 'its certificate comes from an authority that this machine does not trust',
  advice:
    'Install the CA certificates of the system (package ca-certificates), or name your own with NODE_EXTRA_CA_CERTS.',
};

const selfSigned: Problem = {
  says: 'its certificate is self-signed',
  advice: 'Use a certificate of a public authority, or name your own authority with NODE_EXTRA_CA_CERTS.',
};

/** What Node's and OpenSSL's verification codes mean to a person. */
const problems: Record<string, Problem> = {
  CERT_HAS_EXPIRED: {
    says: 'its certificate has expired',
    advice: 'Renew the certificate of the server; if it is fresh, check the clock of this machine.',
  },
  CERT_NOT_YET_VALID: {
    says: 'its certificate is not valid yet',
    advice: 'Check the clock of this machine.',
  },
  CERT_REVOKED: { says: 'its certificate was revoked', advice: 'Replace the certificate of the server.' },
  DEPTH_ZERO_SELF_SIGNED_CERT: selfSigned,
  SELF_SIGNED_CERT_IN_CHAIN: selfSigned,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    says: 'its certificate cannot be traced to a trusted authority',
    advice:
      'Let the server send its intermediate certificates too, or name your authority with NODE_EXTRA_CA_CERTS.',
  },
  UNABLE_TO_GET_ISSUER_CERT: missingRoot,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: missingRoot,
  ERR_TLS_CERT_ALTNAME_INVALID: {
    says: 'its certificate is for another host',
    advice: 'Connect to a name that the certificate lists, or issue one for this name.',
  },
};

/** What is wrong with a server's certificate; undefined when the error is about something else. */
export function certificateProblem(error: unknown): Problem | undefined {
  const { code, reason } = error as { code?: string; reason?: string };
  const problem = problems[code ?? ''];
  if (!problem) return undefined;
  const detail = reason ? `${code}: ${reason.replace(/\.$/, '')}` : code;
  return { ...problem, says: `${problem.says} (${detail})` };
}
