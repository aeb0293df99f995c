-- Deliveries over HTTP: who sent them.

alter table delivery add column by text;
comment on column delivery.by is 'The holder of the token; none for the command line.';
