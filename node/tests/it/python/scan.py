"""Scans a listener of the federation with sslyze, as a pinned peer."""
import os
from pathlib import Path
from sslyze import (ClientAuthenticationCredentials, ScanCommand, Scanner, ServerNetworkConfiguration,
                    ServerNetworkLocation, ServerScanRequest, ServerScanStatusEnum)

host, port = os.environ["ADDRESS"].rsplit(":", 1)
own = ClientAuthenticationCredentials(
    certificate_chain_path=Path(os.environ["CRT"]), key_path=Path(os.environ["KEY"]))
network = ServerNetworkConfiguration(tls_server_name_indication="memory-node.invalid",
                                     tls_client_auth_credentials=own)
wanted = {ScanCommand.SSL_2_0_CIPHER_SUITES, ScanCommand.SSL_3_0_CIPHER_SUITES,
          ScanCommand.TLS_1_0_CIPHER_SUITES, ScanCommand.TLS_1_1_CIPHER_SUITES,
          ScanCommand.TLS_1_2_CIPHER_SUITES, ScanCommand.TLS_1_3_CIPHER_SUITES,
          ScanCommand.TLS_1_3_EARLY_DATA, ScanCommand.SESSION_RESUMPTION}
scanner = Scanner()
scanner.queue_scans([ServerScanRequest(
    server_location=ServerNetworkLocation(hostname="memory-node.invalid", ip_address=host, port=int(port)),
    network_configuration=network, scan_commands=wanted)])
for result in scanner.get_results():
    assert result.scan_status == ServerScanStatusEnum.COMPLETED, result.connectivity_error_trace
    scan = result.scan_result
    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2"):
        attempt = getattr(scan, old + "_cipher_suites")
        assert attempt.result is not None, (old, attempt.error_trace)
        assert attempt.result.accepted_cipher_suites == [], old
    accepted = [suite.cipher_suite.name for suite in scan.tls_1_3_cipher_suites.result.accepted_cipher_suites]
    assert accepted, scan.tls_1_3_cipher_suites
    print("TLS 1.3:", ", ".join(sorted(accepted)))
    assert scan.tls_1_3_early_data.result.supports_early_data is False
    resumption = scan.session_resumption.result
    # Both kinds of resumption before 1.3; tickets of 1.3 are looked for below.
    print("resumption:", resumption.session_id_resumption_result.name, resumption.tls_ticket_resumption_result.name)
    never = ("NOT_SUPPORTED", "SERVER_IS_TLS_1_3_ONLY")
    assert resumption.session_id_resumption_result.name in never
    assert resumption.tls_ticket_resumption_result.name in never

# A ticket of TLS 1.3 comes after the handshake, with the first bytes.
import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.load_cert_chain(os.environ["CRT"], os.environ["KEY"])
with context.wrap_socket(socket.create_connection((host, int(port)))) as tls:
    tls.sendall(b"GET /fed/v1/changes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert tls.recv(20).startswith(b"HTTP/1.1 200")
    assert tls.version() == "TLSv1.3"
    assert not tls.session.has_ticket, "a ticket was given out"
print("everything holds")
