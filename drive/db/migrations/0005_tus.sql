-- Uploads that come by tus: how many bytes have arrived, in order, and what the client said of the file. Null for uploads
-- that come in chunks of their own.
alter table upload_tasks
    add column tus_offset_bytes bigint,
    add column tus_metadata text,
    add constraint upload_tasks_tus_check check (
        (tus_offset_bytes is null) = (tus_metadata is null) and tus_offset_bytes between 0 and size_bytes
    );
