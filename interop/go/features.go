// What the official Go client can do beyond sending and receiving. See ../README.md, "Features".
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	mq "github.com/apache/rocketmq-clients/golang/v5"
)

const (
	featureDelay    = 3 * time.Second
	featurePatience = 60 * time.Second
)

type features struct {
	endpoint, delay, transaction, lite, group string
}

func (f *features) config(group string) *mq.Config {
	r := role{options: options{endpoint: f.endpoint}}
	return r.config(group)
}

// run returns what did not hold.
func (f *features) run() error {
	var lock sync.Mutex
	asked := map[string]bool{}
	checker := &mq.TransactionChecker{Check: func(view *mq.MessageView) mq.TransactionResolution {
		lock.Lock()
		defer lock.Unlock()
		asked[string(view.GetBody())] = true
		return mq.COMMIT
	}}
	producer, err := mq.NewProducer(f.config(""), mq.WithTopics(f.delay, f.transaction, f.lite), mq.WithTransactionChecker(checker))
	if err != nil {
		return err
	}
	if err := producer.Start(); err != nil {
		return err
	}
	if err := f.delays(producer); err != nil {
		return err
	}
	if err := f.transactions(producer); err != nil {
		return err
	}
	if err := f.liteTopics(producer); err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	if len(asked) != 1 || !asked["forgotten"] {
		return fmt.Errorf("the producer was asked about %v", asked)
	}
	return nil
}

func (f *features) delays(producer mq.Producer) error {
	due := time.Now().Add(featureDelay)
	later := &mq.Message{Topic: f.delay, Body: []byte("later")}
	later.SetDelayTimestamp(due)
	if _, err := producer.Send(context.Background(), later); err != nil {
		return err
	}
	far := &mq.Message{Topic: f.delay, Body: []byte("recalled")}
	far.SetDelayTimestamp(due.Add(2 * time.Second))
	receipts, err := producer.Send(context.Background(), far)
	if err != nil {
		return err
	}
	if _, err := producer.Recall(context.Background(), f.delay, receipts[0].RecallHandle); err != nil {
		return fmt.Errorf("recall: %w", err)
	}
	arrived, err := f.bodies(f.delay, 4*time.Second, "later")
	if err != nil {
		return err
	}
	// The client cuts the time to milliseconds.
	if at, came := arrived["later"]; !came || at.Before(due.Truncate(time.Millisecond)) {
		return fmt.Errorf("a message that was due at %v came at %v", due, at)
	}
	if _, came := arrived["recalled"]; came {
		return fmt.Errorf("the recalled message came")
	}
	return nil
}

func (f *features) transactions(producer mq.Producer) error {
	begin := func(body string) (mq.Transaction, error) {
		transaction := producer.BeginTransaction()
		message := &mq.Message{Topic: f.transaction, Body: []byte(body)}
		_, err := producer.SendWithTransaction(context.Background(), message, transaction)
		return transaction, err
	}
	ends := map[string]func(mq.Transaction) error{
		"committed":   mq.Transaction.Commit,
		"rolled back": mq.Transaction.RollBack,
		"forgotten":   func(mq.Transaction) error { return nil },
	}
	for body, end := range ends {
		transaction, err := begin(body)
		if err != nil {
			return err
		}
		if err := end(transaction); err != nil {
			return fmt.Errorf("%s: %w", body, err)
		}
	}
	arrived, err := f.bodies(f.transaction, 0, "committed", "forgotten")
	if err != nil {
		return err
	}
	if _, came := arrived["rolled back"]; came || len(arrived) != 2 {
		return fmt.Errorf("these came: %v", arrived)
	}
	return nil
}

// bodies says when each body came, once all wanted ones did and a while has passed.
func (f *features) bodies(topic string, after time.Duration, wanted ...string) (map[string]time.Time, error) {
	consumer, err := mq.NewSimpleConsumer(f.config(f.group+"-"+topic),
		mq.WithSimpleAwaitDuration(await),
		mq.WithSimpleSubscriptionExpressions(map[string]*mq.FilterExpression{topic: mq.NewFilterExpression("*")}))
	if err != nil {
		return nil, err
	}
	if err := consumer.Start(); err != nil {
		return nil, err
	}
	arrived := map[string]time.Time{}
	deadline := time.Now().Add(featurePatience)
	for time.Now().Before(deadline) {
		// "Nothing there" is an error to this client.
		messages, _ := consumer.Receive(context.Background(), 16, invisible)
		for _, message := range messages {
			arrived[string(message.GetBody())] = time.Now()
			if err := consumer.Ack(context.Background(), message); err != nil {
				return nil, err
			}
		}
		missing := 0
		for _, body := range wanted {
			if _, came := arrived[body]; !came {
				missing++
			}
		}
		if missing == 0 && after > 0 {
			deadline, after = time.Now().Add(after), 0
		} else if missing == 0 && len(messages) == 0 {
			break
		}
	}
	return arrived, nil
}

// runFeatures ends the process.
func runFeatures(f features) {
	if err := f.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
