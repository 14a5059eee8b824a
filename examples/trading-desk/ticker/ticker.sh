#!/bin/sh
# Posts a price to the chat's webhook and mentions the colleague whose matter it is.
: "${CLAW_HANDLE_RISK_DISCORD_ID:?no agent called risk has an account on the platform}"
trap 'exit 0' TERM INT
price=100
while :; do
  price=$(((price * 7 + 13) % 40 + 80))
  text="ACME is at $price"
  [ "$price" -gt 110 ] && text="$text, above the limit of 110: <@$CLAW_HANDLE_RISK_DISCORD_ID>, please look"
  body="{\"username\":\"ticker\",\"content\":\"$text\"}"
  wget -q -O /dev/null --header 'Content-Type: application/json' --post-data "$body" "$WEBHOOK_URL" || echo "the webhook does not answer"
  sleep "${EVERY:-30}" &
  wait $!
done
