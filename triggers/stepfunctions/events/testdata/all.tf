# Ends of Step Functions executions, for Gust: EventBridge sends them to an SQS queue, from which Gust reads them, so that
# it need not ask for every execution that it waits for. Standard executions only: express ones send no events.
#
#   terraform apply
#
# then set stepfunctions.events.queue_url in config.yaml, or GUST__STEPFUNCTIONS__EVENTS__QUEUE_URL, to the output queue_url.
# Who reads needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the queue.
resource "aws_sqs_queue" "gust_events" {
  name                       = "gust-events"
  message_retention_seconds  = 3600
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = 30
  sqs_managed_sse_enabled    = true
}

resource "aws_cloudwatch_event_rule" "gust_events" {
  name        = "gust-events"
  description = "Step Functions executions that have ended"

  event_pattern = jsonencode({
    source        = ["aws.states"]
    "detail-type" = ["Step Functions Execution Status Change"]
    detail = {
      status = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    }
  })
}

resource "aws_cloudwatch_event_target" "gust_events" {
  rule      = aws_cloudwatch_event_rule.gust_events.name
  target_id = "queue"
  arn       = aws_sqs_queue.gust_events.arn
}

resource "aws_sqs_queue_policy" "gust_events" {
  queue_url = aws_sqs_queue.gust_events.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventsOfTheRule"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.gust_events.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.gust_events.arn } }
    }]
  })
}

output "queue_url" {
  description = "stepfunctions.events.queue_url"
  value       = aws_sqs_queue.gust_events.url
}
