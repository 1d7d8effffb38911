"""The instrument as a service: one worker, jobs, events. HTTP, MQTT and the page talk to this."""
