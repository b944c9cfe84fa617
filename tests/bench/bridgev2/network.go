package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/util/configupgrade"
	"go.mau.fi/util/ptr"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/event"
)

// Config says where the network is: host and port.
type Config struct {
	Address string `yaml:"address"`
}

const exampleConfig = "# Host and port of the network.\naddress: 127.0.0.1:1\n"

// Connector is the bench's network.
type Connector struct {
	br     *bridgev2.Bridge
	Config Config
}

var _ bridgev2.NetworkConnector = (*Connector)(nil)

func (c *Connector) Init(br *bridgev2.Bridge)        { c.br = br }
func (c *Connector) Start(ctx context.Context) error { return nil }

func (c *Connector) GetName() bridgev2.BridgeName {
	return bridgev2.BridgeName{
		DisplayName:      "Bench",
		NetworkURL:       "https://bench.example",
		NetworkID:        "bench",
		BeeperBridgeType: "bench",
		DefaultPort:      29999,
	}
}

func (c *Connector) GetDBMetaTypes() database.MetaTypes {
	return database.MetaTypes{UserLogin: func() any { return &UserLoginMetadata{} }}
}

// UserLoginMetadata is what is kept with a login.
type UserLoginMetadata struct {
	Token string `json:"token"`
}

func (c *Connector) GetCapabilities() *bridgev2.NetworkGeneralCapabilities {
	return &bridgev2.NetworkGeneralCapabilities{}
}

func (c *Connector) GetBridgeInfoVersion() (info, capabilities int) { return 1, 1 }

func (c *Connector) GetConfig() (string, any, configupgrade.Upgrader) {
	return exampleConfig, &c.Config, configupgrade.SimpleUpgrader(func(helper configupgrade.Helper) {
		helper.Copy(configupgrade.Str, "address")
	})
}

func (c *Connector) LoadUserLogin(ctx context.Context, login *bridgev2.UserLogin) error {
	login.Client = &Client{connector: c, login: login, waiting: map[uint64]chan sent{}}
	return nil
}

func (c *Connector) GetLoginFlows() []bridgev2.LoginFlow {
	return []bridgev2.LoginFlow{{Name: "Token", Description: "Token", ID: "token"}}
}

func (c *Connector) CreateLogin(ctx context.Context, user *bridgev2.User, flowID string) (bridgev2.LoginProcess, error) {
	if flowID != "token" {
		return nil, fmt.Errorf("unknown login flow %s", flowID)
	}
	return &TokenLogin{user: user}, nil
}

// TokenLogin asks for a token.
type TokenLogin struct {
	user *bridgev2.User
}

var _ bridgev2.LoginProcessUserInput = (*TokenLogin)(nil)

func (t *TokenLogin) Cancel() {}

func (t *TokenLogin) Start(ctx context.Context) (*bridgev2.LoginStep, error) {
	return &bridgev2.LoginStep{
		Type:   bridgev2.LoginStepTypeUserInput,
		StepID: "example.bench.token",
		UserInputParams: &bridgev2.LoginUserInputParams{
			Fields: []bridgev2.LoginInputDataField{{Type: bridgev2.LoginInputFieldTypeToken, ID: "token", Name: "Token"}},
		},
	}, nil
}

func (t *TokenLogin) SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error) {
	token := input["token"]
	if token == "" {
		return nil, errors.New("the token is missing")
	}
	login, err := t.user.NewLogin(ctx, &database.UserLogin{
		ID:         networkid.UserLoginID(token),
		RemoteName: token,
		Metadata:   &UserLoginMetadata{Token: token},
	}, &bridgev2.NewLoginParams{DeleteOnConflict: true})
	if err != nil {
		return nil, err
	}
	go login.Client.Connect(login.Log.WithContext(t.user.Bridge.BackgroundCtx))
	return &bridgev2.LoginStep{
		Type:           bridgev2.LoginStepTypeComplete,
		StepID:         "example.bench.complete",
		CompleteParams: &bridgev2.LoginCompleteParams{UserLoginID: login.ID, UserLogin: login},
	}, nil
}

// said is a message of the network.
type said struct {
	Op   string `json:"op"`
	Seq  uint64 `json:"seq"`
	Req  uint64 `json:"req"`
	ID   string `json:"id"`
	Chat string `json:"chat"`
	User string `json:"user"`
	TS   int64  `json:"ts"`
	Text string `json:"text"`
}

type sent struct{ id string }

// Client is one connected account.
type Client struct {
	connector *Connector
	login     *bridgev2.UserLogin
	mu        sync.Mutex // conn and writes to it, waiting
	conn      net.Conn
	waiting   map[uint64]chan sent
	requests  atomic.Uint64
}

var _ bridgev2.NetworkAPI = (*Client)(nil)

func (c *Client) Connect(ctx context.Context) {
	c.login.BridgeState.Send(status.BridgeState{StateEvent: status.StateConnecting})
	conn, err := net.DialTimeout("tcp", c.connector.Config.Address, 10*time.Second)
	if err != nil {
		c.lost(err)
		return
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	token := c.login.Metadata.(*UserLoginMetadata).Token
	if err = c.say(map[string]any{"op": "hello", "token": token}); err != nil {
		c.lost(err)
		return
	}
	c.login.BridgeState.Send(status.BridgeState{StateEvent: status.StateConnected})
	go c.read(conn)
}

func (c *Client) lost(err error) {
	c.login.Log.Err(err).Msg("The connection to the network was lost")
	c.login.BridgeState.Send(status.BridgeState{
		StateEvent: status.StateTransientDisconnect, Error: "bench-disconnected", Message: err.Error(),
	})
}

func (c *Client) read(conn net.Conn) {
	lines := bufio.NewScanner(bufio.NewReaderSize(conn, 64<<10))
	for lines.Scan() {
		var m said
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			c.lost(err)
			conn.Close()
			return
		}
		switch m.Op {
		case "msg":
			c.received(&m)
			if err := c.say(map[string]any{"op": "ack", "seq": m.Seq}); err != nil {
				c.lost(err)
				return
			}
		case "sent":
			c.mu.Lock()
			waiting := c.waiting[m.Req]
			delete(c.waiting, m.Req)
			c.mu.Unlock()
			if waiting != nil {
				waiting <- sent{m.ID}
			}
		}
	}
	if err := lines.Err(); err != nil {
		c.lost(err)
	}
}

func (c *Client) received(m *said) {
	c.login.QueueRemoteEvent(&simplevent.Message[*said]{
		EventMeta: simplevent.EventMeta{
			Type: bridgev2.RemoteEventMessage,
			LogContext: func(l zerolog.Context) zerolog.Context {
				return l.Str("message_id", m.ID)
			},
			PortalKey:    networkid.PortalKey{ID: networkid.PortalID(m.Chat)},
			Sender:       bridgev2.EventSender{Sender: networkid.UserID(m.User)},
			CreatePortal: true,
			Timestamp:    time.UnixMilli(m.TS),
		},
		Data: m,
		ID:   networkid.MessageID(m.ID),
		ConvertMessageFunc: func(ctx context.Context, portal *bridgev2.Portal, intent bridgev2.MatrixAPI, m *said) (*bridgev2.ConvertedMessage, error) {
			return &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{{
				Type:    event.EventMessage,
				Content: &event.MessageEventContent{MsgType: event.MsgText, Body: m.Text},
			}}}, nil
		},
	})
}

func (c *Client) say(what any) error {
	line, err := json.Marshal(what)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return bridgev2.ErrNotLoggedIn
	}
	_, err = c.conn.Write(append(line, '\n'))
	return err
}

func (c *Client) Disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *Client) IsLoggedIn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

func (c *Client) LogoutRemote(ctx context.Context) { c.Disconnect() }

func (c *Client) IsThisUser(ctx context.Context, userID networkid.UserID) bool {
	return string(userID) == string(c.login.ID)
}

func (c *Client) GetChatInfo(ctx context.Context, portal *bridgev2.Portal) (*bridgev2.ChatInfo, error) {
	me := bridgev2.EventSender{IsFromMe: true, SenderLogin: c.login.ID, Sender: networkid.UserID(c.login.ID)}
	return &bridgev2.ChatInfo{
		Name:    ptr.Ptr("Chat " + string(portal.ID)),
		Members: &bridgev2.ChatMemberList{MemberMap: bridgev2.ChatMemberMap{}.Set(bridgev2.ChatMember{EventSender: me})},
	}, nil
}

func (c *Client) GetUserInfo(ctx context.Context, ghost *bridgev2.Ghost) (*bridgev2.UserInfo, error) {
	return &bridgev2.UserInfo{Name: ptr.Ptr("User " + string(ghost.ID))}, nil
}

func (c *Client) GetCapabilities(ctx context.Context, portal *bridgev2.Portal) *event.RoomFeatures {
	return &event.RoomFeatures{ID: "example.bench.capabilities", MaxTextLength: 65536}
}

func (c *Client) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	req, answer := c.requests.Add(1), make(chan sent, 1)
	c.mu.Lock()
	c.waiting[req] = answer
	c.mu.Unlock()
	err := c.say(map[string]any{
		"op": "send", "req": req, "chat": string(msg.Portal.ID), "text": msg.Content.Body, "key": msg.Event.ID.String(),
	})
	if err != nil {
		return nil, err
	}
	select {
	case answer := <-answer:
		return &bridgev2.MatrixMessageResponse{DB: &database.Message{
			ID: networkid.MessageID(answer.id), SenderID: networkid.UserID(c.login.ID),
		}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(30 * time.Second):
		return nil, errors.New("the network does not answer")
	}
}
