package endorsed

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"safebox/image/inspect/tree"
	"safebox/verifier/memory"
)

// rollback lists what was seen: Decode has refused every other form, so the
// names may be read again in their order.
func rollback(b []byte) ([]tree.Item, error) {
	m, err := memory.Decode(b)
	if err != nil {
		return nil, err
	}
	var document struct {
		Seen []struct {
			Key string `json:"key"`
		} `json:"seen"`
	}
	if err := json.Unmarshal(b, &document); err != nil {
		return nil, err
	}
	var items []tree.Item
	for _, e := range document.Seen {
		value, ok := m.Highest(e.Key)
		if !ok {
			return nil, fmt.Errorf("key %q: read once, then missing", e.Key)
		}
		items = append(items, tree.New(e.Key, "%s", seen(e.Key, value)))
	}
	return []tree.Item{tree.List("seen", items)}, nil
}

// maxTime is the end of the year 9999, after which RFC 3339 has no text.
const maxTime = 253402300799

// seen writes times as dates beside the number.
func seen(key string, value uint64) string {
	kind, _, _ := strings.Cut(key, "/")
	if value > maxTime || kind != memory.TimeKey && !strings.HasSuffix(kind, "-"+memory.TimeKey) {
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("%d, %s", value, tree.Time(time.Unix(int64(value), 0)))
}
