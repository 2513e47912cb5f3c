BEGIN TRANSACTION;
CREATE TABLE bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq), gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (environment, stage, partition)
) WITHOUT ROWID;
INSERT INTO "bindings" VALUES('prod','by_code','2026-03-02',12,0);
INSERT INTO "bindings" VALUES('prod','by_code','2026-03-03',16,0);
INSERT INTO "bindings" VALUES('prod','by_contract','2026-03-02',14,0);
INSERT INTO "bindings" VALUES('prod','by_contract','2026-03-03',18,0);
INSERT INTO "bindings" VALUES('prod','by_query','2026-03-02',8,0);
INSERT INTO "bindings" VALUES('prod','by_query','2026-03-03',10,0);
INSERT INTO "bindings" VALUES('prod','sales','2026-03-02',4,0);
INSERT INTO "bindings" VALUES('prod','sales','2026-03-03',6,0);
CREATE TABLE costs (
    stage    TEXT NOT NULL,
    action   TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    wall_s   REAL NOT NULL,
    cpu_s    REAL NOT NULL,
    rows_in  REAL NOT NULL,
    bytes_in REAL NOT NULL,
    rows_out REAL NOT NULL,
    PRIMARY KEY (stage, action)
);
INSERT INTO "costs" VALUES('sales','run',2,7.25171199999863347e-03,5.78514399999996431e-03,1.5,40.5,1.5);
INSERT INTO "costs" VALUES('by_query','run',2,2.01476699997726882e-03,2.00301900000005028e-03,1.5,945.5,1.5);
INSERT INTO "costs" VALUES('by_code','run',2,1.4046720000209234e-03,1.37821550000000181e-03,1.5,945.5,1.5);
INSERT INTO "costs" VALUES('by_contract','run',2,1.1319495000208235e-03,1.13325050000001592e-03,1.5,945.5,1.5);
CREATE TABLE decisions (
    environment TEXT NOT NULL,
    subject     TEXT NOT NULL,
    stage       TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, subject)
);
CREATE TABLE deliveries (
    environment TEXT NOT NULL,
    name        TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (environment, name)
);
CREATE TABLE environments (
    name   TEXT PRIMARY KEY,
    parent TEXT NOT NULL
, since INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL DEFAULT 0, expires REAL, sample REAL NOT NULL DEFAULT 1, profile TEXT NOT NULL DEFAULT '');
INSERT INTO "environments" VALUES('prod','',1,1.79576101886426234e+09,NULL,1.0,'');
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    batch       INTEGER NOT NULL,
    at          REAL NOT NULL,
    kind        TEXT NOT NULL,
    environment TEXT,
    run         TEXT,
    stage       TEXT,
    partition   TEXT,
    body        TEXT NOT NULL
);
INSERT INTO "events" VALUES(1,1,1.79576101886426234e+09,'RunStarted','prod','20261127-063018-088bb3',NULL,NULL,'{"kind":"RunStarted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","command":"tidemill run","holder":{"host":"shop","pid":"3251","started":"23913","command":"tidemill run"},"steps":8}}');
INSERT INTO "events" VALUES(2,1,1.79576101886426234e+09,'SourceSeen','prod',NULL,'sales',NULL,'{"kind":"SourceSeen","v":1,"event":{"environment":"prod","stage":"sales","files":[{"path":"sales.csv","size":81,"mtime_ns":0,"digest":"53dceb7b97a8f4fea92e6068934688539e95f60d5bccfe97bc1d7c07fb0edd84","rows":{"2026-03-02":2,"2026-03-03":1},"reading":"35542b5c4877"}]}}');
INSERT INTO "events" VALUES(3,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','sales','2026-03-02','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"sales","partition":"2026-03-02","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.013416219999982104,"cpu_s":0.010481413999999911,"rows_in":2,"rows_out":2,"bytes_in":54,"bytes_out":956}}}');
INSERT INTO "events" VALUES(4,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','sales','2026-03-02','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"sales","partition":"2026-03-02","binding":{"key":"ff0262834d1cb95f9f58968f2c879f51","inputs":{"files":"a0420e71d41b2cd6137ed8db979566f5"},"seen":{"files":{"(all)":"933447c5"}},"touched":[],"recipe":"417f1e651c6a136f41ca813237a29d68","contract":"1.0.0","check":"a51087c84350d2191498eae1167709e3","product":{"content":"f2f6c18d9aab31953bf3305a410047d0","objects":["d08f2605ee89d8ab6475dc6ebdf174361345c6f8d07a666b44d7db49bf05befa.parquet"],"columns":{"day":"d5eea46485efe505226c2aa650cc33f0","shop":"54ffb1da30dad4637653ebdc1786c703","loaves":"56ea4026e872685d02ebbf0f9a7cd4b2"},"rowset":"5eca7c98c8b9479916a384c94062a453","rows":2,"bytes":956,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.8870065,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(5,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','sales','2026-03-03','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"sales","partition":"2026-03-03","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.0010872040000151628,"cpu_s":0.0010888740000000174,"rows_in":1,"rows_out":1,"bytes_in":27,"bytes_out":935}}}');
INSERT INTO "events" VALUES(6,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','sales','2026-03-03','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"sales","partition":"2026-03-03","binding":{"key":"b1a831228abf968c6bcc467cb64e203e","inputs":{"files":"a0420e71d41b2cd6137ed8db979566f5"},"seen":{"files":{"(all)":"933447c5"}},"touched":[],"recipe":"417f1e651c6a136f41ca813237a29d68","contract":"1.0.0","check":"a51087c84350d2191498eae1167709e3","product":{"content":"77a0b2a2b2310942420623aa70a07422","objects":["d3ae33413b20d398bee684501be1caff7775dbeb244a77a41c683de4ba4c33f3.parquet"],"columns":{"day":"c971695815799330cc14cb976132f538","shop":"3a0b738d99b1ca69f862e0b7797bf54d","loaves":"0a056b2ebe9d9b5e17d930fa425628b0"},"rowset":"1f57cbc1757f4bf84bb71dfcfe9e6549","rows":1,"bytes":935,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.8882306,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(7,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','by_query','2026-03-02','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"by_query","partition":"2026-03-02","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.002469497799967257,"cpu_s":0.002455434200000006,"rows_in":2,"rows_out":2,"bytes_in":956,"bytes_out":953}}}');
INSERT INTO "events" VALUES(8,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','by_query','2026-03-02','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"by_query","partition":"2026-03-02","binding":{"key":"9088d4bb0976fec04f108f35b5a90505","inputs":{"sales":"723e84d24356994e6ec86a7e2a913f14"},"seen":{"sales":{"day":"0e834474","shop":"dec2935f","loaves":"d13a4999"}},"touched":[],"recipe":"398137a9a0180b61cba8c54b2a17927e","contract":"1.0.0","check":"3d85e64115f3512d507987e8ebac2b04","product":{"content":"3a06643a85f60b91aa0de43ebf3f8a62","objects":["8d73e85381f154f342de2579bec07496d53c10ee51d8339826d489ff5d95ea02.parquet"],"columns":{"day":"d5eea46485efe505226c2aa650cc33f0","shop":"54ffb1da30dad4637653ebdc1786c703","twice":"d8b09e99ada26d903de60dec63ca2b4b"},"rowset":"5eca7c98c8b9479916a384c94062a453","rows":2,"bytes":953,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.8924167,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(9,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','by_query','2026-03-03','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"by_query","partition":"2026-03-03","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.0015600361999872803,"cpu_s":0.0015506038000000944,"rows_in":1,"rows_out":1,"bytes_in":935,"bytes_out":932}}}');
INSERT INTO "events" VALUES(10,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','by_query','2026-03-03','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"by_query","partition":"2026-03-03","binding":{"key":"cf865457c2042b23f40daaccb0f4462c","inputs":{"sales":"cde032bd0d31e3e46231740fd2e97288"},"seen":{"sales":{"day":"6b93a7a5","shop":"d4e6fe86","loaves":"b3a5197b"}},"touched":[],"recipe":"398137a9a0180b61cba8c54b2a17927e","contract":"1.0.0","check":"3d85e64115f3512d507987e8ebac2b04","product":{"content":"8afd56e44aacb8929ca6e8edfdf909eb","objects":["b4c6acc47b58813c6feeff5b4f1f92f9efd19e24c9e96f3abb2ff80b93d97be0.parquet"],"columns":{"day":"c971695815799330cc14cb976132f538","shop":"3a0b738d99b1ca69f862e0b7797bf54d","twice":"da1bc2bfde9584d46d5a0de1972bc47a"},"rowset":"1f57cbc1757f4bf84bb71dfcfe9e6549","rows":1,"bytes":932,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.8925235,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(11,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','by_code','2026-03-02','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"by_code","partition":"2026-03-02","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.0017166120000240426,"cpu_s":0.0016625070000000353,"rows_in":2,"rows_out":2,"bytes_in":956,"bytes_out":953}}}');
INSERT INTO "events" VALUES(12,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','by_code','2026-03-02','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"by_code","partition":"2026-03-02","binding":{"key":"dfb990b5ffdbb551804344f762b45cd5","inputs":{"sales":"723e84d24356994e6ec86a7e2a913f14"},"seen":{"sales":{"day":"0e834474","shop":"dec2935f","loaves":"d13a4999"}},"touched":[],"recipe":"51c624bdec95622ffdca1c2d2271bfca","contract":"1.0.0","check":"3d85e64115f3512d507987e8ebac2b04","product":{"content":"3a06643a85f60b91aa0de43ebf3f8a62","objects":["8d73e85381f154f342de2579bec07496d53c10ee51d8339826d489ff5d95ea02.parquet"],"columns":{"day":"d5eea46485efe505226c2aa650cc33f0","shop":"54ffb1da30dad4637653ebdc1786c703","twice":"d8b09e99ada26d903de60dec63ca2b4b"},"rowset":"5eca7c98c8b9479916a384c94062a453","rows":2,"bytes":953,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.894342,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(13,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','by_contract','2026-03-02','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"by_contract","partition":"2026-03-02","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.0012902960000360508,"cpu_s":0.001291955999999983,"rows_in":2,"rows_out":2,"bytes_in":956,"bytes_out":953}}}');
INSERT INTO "events" VALUES(14,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','by_contract','2026-03-02','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"by_contract","partition":"2026-03-02","binding":{"key":"e639abdfa44db0666764dc67c071a0db","inputs":{"sales":"723e84d24356994e6ec86a7e2a913f14"},"seen":{"sales":{"day":"0e834474","shop":"dec2935f","loaves":"d13a4999"}},"touched":[],"recipe":"b81a02bfbfb55e4f3722bbe78d15cfbc","contract":"1.0.0","check":"3d85e64115f3512d507987e8ebac2b04","product":{"content":"3a06643a85f60b91aa0de43ebf3f8a62","objects":["8d73e85381f154f342de2579bec07496d53c10ee51d8339826d489ff5d95ea02.parquet"],"columns":{"day":"d5eea46485efe505226c2aa650cc33f0","shop":"54ffb1da30dad4637653ebdc1786c703","twice":"d8b09e99ada26d903de60dec63ca2b4b"},"rowset":"5eca7c98c8b9479916a384c94062a453","rows":2,"bytes":953,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.8957348,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(15,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','by_code','2026-03-03','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"by_code","partition":"2026-03-03","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.0010927320000178042,"cpu_s":0.0010939239999999684,"rows_in":1,"rows_out":1,"bytes_in":935,"bytes_out":932}}}');
INSERT INTO "events" VALUES(16,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','by_code','2026-03-03','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"by_code","partition":"2026-03-03","binding":{"key":"adc87c78b181fabd841ac44ae6e0b086","inputs":{"sales":"cde032bd0d31e3e46231740fd2e97288"},"seen":{"sales":{"day":"6b93a7a5","shop":"d4e6fe86","loaves":"b3a5197b"}},"touched":[],"recipe":"51c624bdec95622ffdca1c2d2271bfca","contract":"1.0.0","check":"3d85e64115f3512d507987e8ebac2b04","product":{"content":"8afd56e44aacb8929ca6e8edfdf909eb","objects":["b4c6acc47b58813c6feeff5b4f1f92f9efd19e24c9e96f3abb2ff80b93d97be0.parquet"],"columns":{"day":"c971695815799330cc14cb976132f538","shop":"3a0b738d99b1ca69f862e0b7797bf54d","twice":"da1bc2bfde9584d46d5a0de1972bc47a"},"rowset":"1f57cbc1757f4bf84bb71dfcfe9e6549","rows":1,"bytes":932,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.8969371,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(17,3,1795761018.90036,'Attempted','prod','20261127-063018-088bb3','by_contract','2026-03-03','{"kind":"Attempted","v":1,"event":{"run":"20261127-063018-088bb3","environment":"prod","attempt":{"stage":"by_contract","partition":"2026-03-03","action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.0009736030000055962,"cpu_s":0.0009745450000000488,"rows_in":1,"rows_out":1,"bytes_in":935,"bytes_out":932}}}');
INSERT INTO "events" VALUES(18,3,1795761018.90036,'Published','prod','20261127-063018-088bb3','by_contract','2026-03-03','{"kind":"Published","v":1,"event":{"environment":"prod","stage":"by_contract","partition":"2026-03-03","binding":{"key":"542f585340d4eeed83a86247fe5f61e9","inputs":{"sales":"cde032bd0d31e3e46231740fd2e97288"},"seen":{"sales":{"day":"6b93a7a5","shop":"d4e6fe86","loaves":"b3a5197b"}},"touched":[],"recipe":"b81a02bfbfb55e4f3722bbe78d15cfbc","contract":"1.0.0","check":"3d85e64115f3512d507987e8ebac2b04","product":{"content":"8afd56e44aacb8929ca6e8edfdf909eb","objects":["b4c6acc47b58813c6feeff5b4f1f92f9efd19e24c9e96f3abb2ff80b93d97be0.parquet"],"columns":{"day":"c971695815799330cc14cb976132f538","shop":"3a0b738d99b1ca69f862e0b7797bf54d","twice":"da1bc2bfde9584d46d5a0de1972bc47a"},"rowset":"1f57cbc1757f4bf84bb71dfcfe9e6549","rows":1,"bytes":932,"quarantine":null,"quarantined":0,"findings":[],"artifact":null,"scores":null,"parts":[]},"run":"20261127-063018-088bb3","at":1795761018.898037,"verdict":null,"sample":1.0}}}');
INSERT INTO "events" VALUES(19,19,1.79576101890314531e+09,'RecipeChanged','prod',NULL,'sales',NULL,'{"kind":"RecipeChanged","v":1,"event":{"environment":"prod","stage":"sales","recipe":"417f1e651c6a136f41ca813237a29d68","parts":{"source":"bd141d6cb817218a369c216e49a81880","contract":"000275106483beda1ea6503739ce76a3"}}}');
INSERT INTO "events" VALUES(20,19,1.79576101890314531e+09,'RecipeChanged','prod',NULL,'by_query',NULL,'{"kind":"RecipeChanged","v":1,"event":{"environment":"prod","stage":"by_query","recipe":"398137a9a0180b61cba8c54b2a17927e","parts":{"column day":"ee4401fb3d79a39e16f2291f239cba14","column shop":"7770625898d8f229a0f1058b5f9d4621","column twice":"098f5d6ff011872b297785971033f691","engine":"7e0376da18c2be44f13494251ef728a0","contract":"e6e738faf457f9186f1676562bbaf195"}}}');
INSERT INTO "events" VALUES(21,19,1.79576101890314531e+09,'RecipeChanged','prod',NULL,'by_code',NULL,'{"kind":"RecipeChanged","v":1,"event":{"environment":"prod","stage":"by_code","recipe":"51c624bdec95622ffdca1c2d2271bfca","parts":{"inputs":"565d91cdd981f78cfe83acb375233250","code":"db87aad4e90b64cb15f6e8066bf334bd","packages":"b8f3eef9547244f618e5366e86833632","platform":"2da7140297b9a8c607c4c432645be6a2","engine":"7e0376da18c2be44f13494251ef728a0","contract":"e6e738faf457f9186f1676562bbaf195"}}}');
INSERT INTO "events" VALUES(22,19,1.79576101890314531e+09,'RecipeChanged','prod',NULL,'by_contract',NULL,'{"kind":"RecipeChanged","v":1,"event":{"environment":"prod","stage":"by_contract","recipe":"b81a02bfbfb55e4f3722bbe78d15cfbc","parts":{"inputs":"565d91cdd981f78cfe83acb375233250","code":"1da96f2006c900642f6393b2bdeb56c6","packages":"b8f3eef9547244f618e5366e86833632","platform":"2da7140297b9a8c607c4c432645be6a2","engine":"7e0376da18c2be44f13494251ef728a0","contract":"e6e738faf457f9186f1676562bbaf195"}}}');
INSERT INTO "events" VALUES(23,19,1.79576101890314531e+09,'Settled','prod',NULL,'sales',NULL,'{"kind":"Settled","v":1,"event":{"environment":"prod","stage":"sales","mark":{"signature":"385248997e45e1d8fbb264851dcdc9bf","partitions":2}}}');
INSERT INTO "events" VALUES(24,19,1.79576101890314531e+09,'Settled','prod',NULL,'by_query',NULL,'{"kind":"Settled","v":1,"event":{"environment":"prod","stage":"by_query","mark":{"signature":"0e0d8cecfc10b3aa04926660cddc6d89","partitions":2}}}');
INSERT INTO "events" VALUES(25,19,1.79576101890314531e+09,'Settled','prod',NULL,'by_code',NULL,'{"kind":"Settled","v":1,"event":{"environment":"prod","stage":"by_code","mark":{"signature":"451047d6131f768d3ce59dc5ab66b497","partitions":2}}}');
INSERT INTO "events" VALUES(26,19,1.79576101890314531e+09,'Settled','prod',NULL,'by_contract',NULL,'{"kind":"Settled","v":1,"event":{"environment":"prod","stage":"by_contract","mark":{"signature":"49c9de42fda8752a670829d6df70d743","partitions":2}}}');
INSERT INTO "events" VALUES(27,19,1.79576101890314531e+09,'RunEnded',NULL,'20261127-063018-088bb3',NULL,NULL,'{"kind":"RunEnded","v":1,"event":{"run":"20261127-063018-088bb3","status":"ok","receipt":{"run":"20261127-063018-088bb3","status":"ok","stages":[{"stage":"sales","ran":2,"rows_in":3,"rows_out":3,"bytes_in":81,"bytes_out":1891,"wall_s":0.014503423999997267,"cpu_s":0.011570287999999929},{"stage":"by_query","ran":2,"rows_in":3,"rows_out":3,"bytes_in":1891,"bytes_out":1885,"wall_s":0.004029533999954538,"cpu_s":0.004006038000000101},{"stage":"by_code","ran":2,"rows_in":3,"rows_out":3,"bytes_in":1891,"bytes_out":1885,"wall_s":0.002809344000041847,"cpu_s":0.0027564310000000036},{"stage":"by_contract","ran":2,"rows_in":3,"rows_out":3,"bytes_in":1891,"bytes_out":1885,"wall_s":0.002263899000041647,"cpu_s":0.002266501000000032}],"wall_s":0.03852014200001008,"cpu_s":0.03423371399999997,"peak_rss":124481536,"cost":0.0,"currency":"USD"}}}');
INSERT INTO "events" VALUES(28,28,1.79576101939034104e+09,'RunStarted','prod','20261127-063019-eb3594',NULL,NULL,'{"kind":"RunStarted","v":1,"event":{"run":"20261127-063019-eb3594","environment":"prod","command":"tidemill run","holder":{"host":"shop","pid":"3272","started":"24011","command":"tidemill run"},"steps":0}}');
INSERT INTO "events" VALUES(29,28,1.79576101939034104e+09,'RunEnded',NULL,'20261127-063019-eb3594',NULL,NULL,'{"kind":"RunEnded","v":1,"event":{"run":"20261127-063019-eb3594","status":"ok","receipt":{"run":"20261127-063019-eb3594","status":"ok","stages":[{"stage":"sales","current":2,"wall_s":0,"cpu_s":0},{"stage":"by_query","current":2,"wall_s":0,"cpu_s":0},{"stage":"by_code","current":2,"wall_s":0,"cpu_s":0},{"stage":"by_contract","current":2,"wall_s":0,"cpu_s":0}],"wall_s":0.00001534300000116673,"cpu_s":0.000012999000000013528,"peak_rss":63930368,"cost":0.0,"currency":"USD"}}}');
CREATE TABLE heads (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    version     INTEGER NOT NULL, moved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (environment, stage)
);
INSERT INTO "heads" VALUES('prod','sales',1,4);
INSERT INTO "heads" VALUES('prod','by_query',1,8);
INSERT INTO "heads" VALUES('prod','by_code',1,12);
INSERT INTO "heads" VALUES('prod','by_contract',1,14);
CREATE TABLE leases (
    name      TEXT PRIMARY KEY,
    token     INTEGER NOT NULL,
    holder    TEXT,
    heartbeat REAL NOT NULL,
    expires   REAL NOT NULL
);
INSERT INTO "leases" VALUES('run:prod',2,NULL,1.79576101938204336e+09,0.0);
CREATE TABLE migrations (
    version  INTEGER PRIMARY KEY,
    tidemill TEXT NOT NULL
);
INSERT INTO "migrations" VALUES(1,'0.1.0');
INSERT INTO "migrations" VALUES(2,'0.1.0');
INSERT INTO "migrations" VALUES(3,'0.1.0');
INSERT INTO "migrations" VALUES(4,'0.1.0');
INSERT INTO "migrations" VALUES(5,'0.1.0');
INSERT INTO "migrations" VALUES(6,'0.1.0');
INSERT INTO "migrations" VALUES(7,'0.1.0');
CREATE TABLE outbox (
    key         TEXT PRIMARY KEY,
    environment TEXT NOT NULL,
    queued      INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'done')),
    body        TEXT NOT NULL,
    detail      TEXT
);
CREATE TABLE past_bindings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    until       INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    PRIMARY KEY (environment, stage, partition, seq)
) WITHOUT ROWID;
CREATE TABLE past_sources (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    path        TEXT NOT NULL,
    body        TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    PRIMARY KEY (environment, stage, path, seq)
) WITHOUT ROWID;
CREATE TABLE pins (
    object TEXT NOT NULL,
    key    TEXT NOT NULL,
    PRIMARY KEY (object, key)
) WITHOUT ROWID;
INSERT INTO "pins" VALUES('8d73e85381f154f342de2579bec07496d53c10ee51d8339826d489ff5d95ea02.parquet','9088d4bb0976fec04f108f35b5a90505');
INSERT INTO "pins" VALUES('8d73e85381f154f342de2579bec07496d53c10ee51d8339826d489ff5d95ea02.parquet','dfb990b5ffdbb551804344f762b45cd5');
INSERT INTO "pins" VALUES('8d73e85381f154f342de2579bec07496d53c10ee51d8339826d489ff5d95ea02.parquet','e639abdfa44db0666764dc67c071a0db');
INSERT INTO "pins" VALUES('b4c6acc47b58813c6feeff5b4f1f92f9efd19e24c9e96f3abb2ff80b93d97be0.parquet','542f585340d4eeed83a86247fe5f61e9');
INSERT INTO "pins" VALUES('b4c6acc47b58813c6feeff5b4f1f92f9efd19e24c9e96f3abb2ff80b93d97be0.parquet','adc87c78b181fabd841ac44ae6e0b086');
INSERT INTO "pins" VALUES('b4c6acc47b58813c6feeff5b4f1f92f9efd19e24c9e96f3abb2ff80b93d97be0.parquet','cf865457c2042b23f40daaccb0f4462c');
INSERT INTO "pins" VALUES('d08f2605ee89d8ab6475dc6ebdf174361345c6f8d07a666b44d7db49bf05befa.parquet','ff0262834d1cb95f9f58968f2c879f51');
INSERT INTO "pins" VALUES('d3ae33413b20d398bee684501be1caff7775dbeb244a77a41c683de4ba4c33f3.parquet','b1a831228abf968c6bcc467cb64e203e');
CREATE TABLE recipes (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    recipe      TEXT NOT NULL,
    parts       TEXT NOT NULL,
    PRIMARY KEY (environment, stage)
);
INSERT INTO "recipes" VALUES('prod','sales','417f1e651c6a136f41ca813237a29d68','{"source":"bd141d6cb817218a369c216e49a81880","contract":"000275106483beda1ea6503739ce76a3"}');
INSERT INTO "recipes" VALUES('prod','by_query','398137a9a0180b61cba8c54b2a17927e','{"column day":"ee4401fb3d79a39e16f2291f239cba14","column shop":"7770625898d8f229a0f1058b5f9d4621","column twice":"098f5d6ff011872b297785971033f691","engine":"7e0376da18c2be44f13494251ef728a0","contract":"e6e738faf457f9186f1676562bbaf195"}');
INSERT INTO "recipes" VALUES('prod','by_code','51c624bdec95622ffdca1c2d2271bfca','{"inputs":"565d91cdd981f78cfe83acb375233250","code":"db87aad4e90b64cb15f6e8066bf334bd","packages":"b8f3eef9547244f618e5366e86833632","platform":"2da7140297b9a8c607c4c432645be6a2","engine":"7e0376da18c2be44f13494251ef728a0","contract":"e6e738faf457f9186f1676562bbaf195"}');
INSERT INTO "recipes" VALUES('prod','by_contract','b81a02bfbfb55e4f3722bbe78d15cfbc','{"inputs":"565d91cdd981f78cfe83acb375233250","code":"1da96f2006c900642f6393b2bdeb56c6","packages":"b8f3eef9547244f618e5366e86833632","platform":"2da7140297b9a8c607c4c432645be6a2","engine":"7e0376da18c2be44f13494251ef728a0","contract":"e6e738faf457f9186f1676562bbaf195"}');
CREATE TABLE rulings (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    partition   TEXT NOT NULL,
    seq         INTEGER NOT NULL REFERENCES events (seq),
    PRIMARY KEY (environment, stage, partition, seq)
) WITHOUT ROWID;
CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    environment TEXT NOT NULL,
    status      TEXT NOT NULL,
    started     REAL NOT NULL,
    ended       REAL,
    command     TEXT NOT NULL,
    steps       INTEGER NOT NULL,
    holder      TEXT NOT NULL,
    receipt     TEXT
);
INSERT INTO "runs" VALUES('20261127-063018-088bb3','prod','ok',1.79576101886426234e+09,1.79576101890314531e+09,'tidemill run',8,'{"host":"shop","pid":"3251","started":"23913","command":"tidemill run"}','{"run":"20261127-063018-088bb3","status":"ok","stages":[{"stage":"sales","ran":2,"bound":0,"rechecked":0,"current":0,"failed":0,"retried":0,"skipped":0,"rows_in":3,"rows_out":3,"bytes_in":81,"bytes_out":1891,"quarantined":0,"wall_s":0.014503423999997267,"cpu_s":0.011570287999999929,"memo":null,"fold":null},{"stage":"by_query","ran":2,"bound":0,"rechecked":0,"current":0,"failed":0,"retried":0,"skipped":0,"rows_in":3,"rows_out":3,"bytes_in":1891,"bytes_out":1885,"quarantined":0,"wall_s":0.004029533999954538,"cpu_s":0.004006038000000101,"memo":null,"fold":null},{"stage":"by_code","ran":2,"bound":0,"rechecked":0,"current":0,"failed":0,"retried":0,"skipped":0,"rows_in":3,"rows_out":3,"bytes_in":1891,"bytes_out":1885,"quarantined":0,"wall_s":0.002809344000041847,"cpu_s":0.0027564310000000036,"memo":null,"fold":null},{"stage":"by_contract","ran":2,"bound":0,"rechecked":0,"current":0,"failed":0,"retried":0,"skipped":0,"rows_in":3,"rows_out":3,"bytes_in":1891,"bytes_out":1885,"quarantined":0,"wall_s":0.002263899000041647,"cpu_s":0.002266501000000032,"memo":null,"fold":null}],"wall_s":0.03852014200001008,"cpu_s":0.03423371399999997,"peak_rss":124481536,"cost":0.0,"currency":"USD","exit_code":0,"messages":[],"failures":[]}');
INSERT INTO "runs" VALUES('20261127-063019-eb3594','prod','ok',1.79576101939034104e+09,1.79576101939034104e+09,'tidemill run',0,'{"host":"shop","pid":"3272","started":"24011","command":"tidemill run"}','{"run":"20261127-063019-eb3594","status":"ok","stages":[{"stage":"sales","ran":0,"bound":0,"rechecked":0,"current":2,"failed":0,"retried":0,"skipped":0,"rows_in":0,"rows_out":0,"bytes_in":0,"bytes_out":0,"quarantined":0,"wall_s":0,"cpu_s":0,"memo":null,"fold":null},{"stage":"by_query","ran":0,"bound":0,"rechecked":0,"current":2,"failed":0,"retried":0,"skipped":0,"rows_in":0,"rows_out":0,"bytes_in":0,"bytes_out":0,"quarantined":0,"wall_s":0,"cpu_s":0,"memo":null,"fold":null},{"stage":"by_code","ran":0,"bound":0,"rechecked":0,"current":2,"failed":0,"retried":0,"skipped":0,"rows_in":0,"rows_out":0,"bytes_in":0,"bytes_out":0,"quarantined":0,"wall_s":0,"cpu_s":0,"memo":null,"fold":null},{"stage":"by_contract","ran":0,"bound":0,"rechecked":0,"current":2,"failed":0,"retried":0,"skipped":0,"rows_in":0,"rows_out":0,"bytes_in":0,"bytes_out":0,"quarantined":0,"wall_s":0,"cpu_s":0,"memo":null,"fold":null}],"wall_s":0.00001534300000116673,"cpu_s":0.000012999000000013528,"peak_rss":63930368,"cost":0.0,"currency":"USD","exit_code":0,"messages":[],"failures":[]}');
CREATE TABLE settled (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    signature   TEXT NOT NULL,
    partitions  INTEGER NOT NULL,
    PRIMARY KEY (environment, stage)
);
INSERT INTO "settled" VALUES('prod','sales','385248997e45e1d8fbb264851dcdc9bf',2);
INSERT INTO "settled" VALUES('prod','by_query','0e0d8cecfc10b3aa04926660cddc6d89',2);
INSERT INTO "settled" VALUES('prod','by_code','451047d6131f768d3ce59dc5ab66b497',2);
INSERT INTO "settled" VALUES('prod','by_contract','49c9de42fda8752a670829d6df70d743',2);
CREATE TABLE sources (
    environment TEXT NOT NULL,
    stage       TEXT NOT NULL,
    path        TEXT NOT NULL,
    body        TEXT NOT NULL, seq INTEGER NOT NULL DEFAULT 0, gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (environment, stage, path)
);
INSERT INTO "sources" VALUES('prod','sales','sales.csv','{"path":"sales.csv","size":81,"mtime_ns":0,"digest":"53dceb7b97a8f4fea92e6068934688539e95f60d5bccfe97bc1d7c07fb0edd84","rows":{"2026-03-02":2,"2026-03-03":1},"reading":"35542b5c4877"}',2,0);
CREATE TABLE ticks (
    schedule TEXT NOT NULL,
    tick     TEXT NOT NULL,
    PRIMARY KEY (schedule, tick)
) WITHOUT ROWID;
CREATE TABLE traces (
    key   TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    seq   INTEGER NOT NULL REFERENCES events (seq)
) WITHOUT ROWID;
INSERT INTO "traces" VALUES('542f585340d4eeed83a86247fe5f61e9','by_contract',18);
INSERT INTO "traces" VALUES('9088d4bb0976fec04f108f35b5a90505','by_query',8);
INSERT INTO "traces" VALUES('adc87c78b181fabd841ac44ae6e0b086','by_code',16);
INSERT INTO "traces" VALUES('b1a831228abf968c6bcc467cb64e203e','sales',6);
INSERT INTO "traces" VALUES('cf865457c2042b23f40daaccb0f4462c','by_query',10);
INSERT INTO "traces" VALUES('dfb990b5ffdbb551804344f762b45cd5','by_code',12);
INSERT INTO "traces" VALUES('e639abdfa44db0666764dc67c071a0db','by_contract',14);
INSERT INTO "traces" VALUES('ff0262834d1cb95f9f58968f2c879f51','sales',4);
CREATE INDEX events_by_kind ON events (kind);
CREATE INDEX events_by_run ON events (run) WHERE run IS NOT NULL;
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never changed');
END;
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never deleted');
END;
CREATE TRIGGER events_refuse_replace BEFORE INSERT ON events
WHEN NEW.seq <= (SELECT max(seq) FROM events)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: a fact is never replaced');
END;
CREATE INDEX runs_open ON runs (environment) WHERE status = 'running';
CREATE INDEX outbox_pending ON outbox (environment, queued) WHERE state = 'pending';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',29);
COMMIT;
PRAGMA user_version = 7;
PRAGMA application_id = 1413762380;
