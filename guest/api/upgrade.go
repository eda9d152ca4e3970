package api

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"safebox/verifier/guestapi"
)

// switching is the answer that turns a connection around (RFC 9110, section
// 15.2.2): from here on the guest asks.
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + guestapi.ShardProtocol + "\r\n\r\n"

// openChannel takes over the connection as a shard channel.
func (h *handler) openChannel(w http.ResponseWriter, r *http.Request) {
	switch {
	case !allowed(w, r, http.MethodGet) || !bodyFits(w, r, 0):
		return
	case !r.ProtoAtLeast(1, 1) || !upgrades(r.Header):
		w.Header().Set("Upgrade", guestapi.ShardProtocol)
		refuse(w, http.StatusUpgradeRequired, problemMethod, "want Connection: Upgrade and Upgrade: "+guestapi.ShardProtocol)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		failed(w, err)
		return
	}
	// From here on the connection's end is the only way to tell of an error.
	if err := switchOver(conn, rw); err != nil {
		hangUp(conn)
		return
	}
	h.shards.Use(conn)
}

// upgrades tells whether the header asks for our protocol and nothing else.
func upgrades(h http.Header) bool {
	connection, upgrade := h.Values("Connection"), h.Values("Upgrade")
	return len(connection) == 1 && strings.EqualFold(connection[0], "upgrade") &&
		len(upgrade) == 1 && upgrade[0] == guestapi.ShardProtocol
}

// switchOver says yes. A host that has sent more than its request is out of
// turn.
func switchOver(conn net.Conn, rw *bufio.ReadWriter) error {
	if rw.Reader.Buffered() > 0 {
		return errUnasked
	}
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(conn, switching)
	return err
}
